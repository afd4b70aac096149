from __future__ import annotations

from pathlib import Path

import pytest
from weightspace.errors import ZooError
from weightspace.importing.labels_table import Row, read_labels

FILES = ["a/0.pth", "a/1.pth", "b c/2.pth"]
EXPECTED = {"a/0.pth": Row("cat", "train"), "a/1.pth": Row("dog", "val"), "b c/2.pth": Row("big dog", None)}
PLAIN = "path,label,split\na/0.pth,cat,train\na/1.pth,dog,val\nb c/2.pth,big dog,\n"


def written(root: Path, content: bytes | str) -> Path:
    table = root / "labels.csv"
    table.write_bytes(content.encode() if isinstance(content, str) else content)
    return table


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode("utf-8-sig"),
        PLAIN.replace(",", " , ").encode(),
        PLAIN.replace("path,label,split", "Path,LABEL,Split").encode(),
        PLAIN.replace("/", "\\").encode(),
        PLAIN.replace("\na/", "\n./a/").replace("\nb", "\n.\\b").encode(),
        PLAIN.replace("b c/2.pth,big dog,", '"b c/2.pth","big dog",""').encode(),
        PLAIN.replace(",val", ",Validation").encode() + b"\n ,,\n",
        b"notes,label,path,split\n" + b"".join(
            b"x," + line.split(b",")[1] + b"," + line.split(b",")[0] + b"," + line.split(b",")[2] + b"\n"
            for line in PLAIN.encode().splitlines()[1:]
        ),
    ],
)  # fmt: skip
def test_tables_as_people_write_them(tmp_path: Path, content: bytes) -> None:
    assert read_labels(written(tmp_path, content), tmp_path, FILES) == (EXPECTED, [])


def test_whole_paths(tmp_path: Path) -> None:
    content = PLAIN.replace("\na", f"\n{tmp_path}/a").replace("\nb", f"\n{tmp_path}/b")
    assert read_labels(written(tmp_path, content), tmp_path, FILES) == (EXPECTED, [])


def test_a_file_with_a_backslash_in_its_name(tmp_path: Path) -> None:
    rows, _ = read_labels(written(tmp_path, "path,label\na\\b.pth,cat\n"), tmp_path, ["a\\b.pth", "a/b.pth"])
    assert rows == {"a\\b.pth": Row("cat")}


def test_one_file_twice(tmp_path: Path) -> None:
    table = written(tmp_path, "path,label\na/0.pth,cat\na/1.pth,dog\n./a/0.pth,bird\n")
    with pytest.raises(
        ZooError, match=r"a/0.pth is listed twice, in line 2 \(label 'cat'\) and in line 4 \(.* 'bird'\)"
    ):
        read_labels(table, tmp_path, FILES)
    with pytest.raises(ZooError, match=r"line 2 \(label 'cat', object '1'\) and in line 3 \(label 'cat', object '2'\)"):
        read_labels(written(tmp_path, "path,label,object\na/0.pth,cat,1\na/0.pth,cat,2\n"), tmp_path, FILES)
    same = written(tmp_path, "path,label\na/0.pth,cat\na\\0.pth, cat\n")
    assert read_labels(same, tmp_path, FILES) == ({"a/0.pth": Row("cat")}, ["a/0.pth"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected the columns path and label in its first line, found none"),
        ("a/0.pth,cat\n", "found a/0.pth, cat"),
        ("path,label,path\n", "two columns are called path"),
        ("path,label\na/0.pth,cat,dog\n", "line 2: 3 entries for 2 columns"),
        ("path,label,split\na/0.pth,cat,exam\n", "unknown split 'exam'"),
        (b"path,label\na/0.pth,\xe9t\xe9\n", "should be text in UTF-8, and is not at byte 19"),
        (b"path,label\n" + b"x" * 200_000, "line 2, cannot be read as CSV: field larger than"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: bytes | str, message: str) -> None:
    with pytest.raises(ZooError, match=message):
        read_labels(written(tmp_path, content), tmp_path, FILES)

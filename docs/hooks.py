"""Pages of the site that live outside docs/, links between the two, and a check that the site is offline."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

#: Pages of the site that are written in other folders of the repository.
OUTSIDE = {
    "experiments/README.md": "results.md",
    "benchmarks/README.md": "benchmarks.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LINK = re.compile(r"(!?)\[((?:[^\]\[]|\[[^\]]*\])*)\]\((?!\w+:|#)([^)#\s]*)(#[^)\s]*)?\)")
#: What a browser fetches when it opens a page: scripts, style sheets, icons, fonts and pictures, not links to follow.
LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\s\"'>]+|<link\b[^>]*//[^>]+>")
LOADED_BY_STYLE = re.compile(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)\s]+")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages from outside docs/."""
    root = Path(config.config_file_path).parent
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(root / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turns links between files into links between pages; the text alone remains of files without a page."""
    here = page.file.src_uri
    origin = {v: k for k, v in OUTSIDE.items()}.get(here, f"docs/{here}")

    def translated(match: re.Match[str]) -> str:
        picture, text, target, anchor = match.groups(default="")
        path = normpath(PurePosixPath(origin).parent / target)
        inside = OUTSIDE.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
        if inside is None:
            return text
        return f"{picture}[{text}]({relpath(inside, PurePosixPath(here).parent)}{anchor})"

    return LINK.sub(translated, markdown)


def on_post_build(config: Any) -> None:
    """Fails where a page would load something from another server."""
    site = Path(config.site_dir)
    found = [
        f"{path.relative_to(site)}: {hit}"
        for pattern, suffix in ((LOADED, "*.html"), (LOADED_BY_STYLE, "*.css"))
        for path in sorted(site.rglob(suffix))
        for hit in pattern.findall(path.read_text(encoding="utf-8"))
    ]
    if found:
        raise PluginError("the site must be readable offline, but loads\n" + "\n".join(found))

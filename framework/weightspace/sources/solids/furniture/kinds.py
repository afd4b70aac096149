"""Classes of the models of Debian's sweethome3d-furniture, by words in their names."""

from __future__ import annotations

import re

#: Names that hold a word of a class, but are none of it.
OTHERS = """
    abdominal bench; bowl with fruits; bowl with salad; clothes horse; cup cake; dog house; football table; hot dog;
    indoor bike; letter tray; plant box; plate, glass and cutlery; plate, glasses and cutlery; pool table; roasted
    chicken; rocking horse; stone lantern; table fan; table tennis; table tennis bat; tv remote control; window
    blind
"""
#: Words or phrases of each class; the first class with one of them in a name is the name's.
WORDS = {
    "bed": "opened convertible sofa; bed; crib",
    "sofa": "sofa; couch",
    "appliance": """
        fridge; refrigerator; freezer; oven; microwave; toaster; blender; coffee maker; coffee machine; coffee
        brewer; mixer; cooker; cooktop; stove; washing machine; dryer machine; hood; sandwich maker; grill device;
        water heater; water cooler
    """,
    "bathroom": "washbasin; toilets unit; urinal; bidet; bath; bathtub; jacuzzi; shower stall; lavatory",
    "cabinet": """
        cabinet; wardrobe; bookcase; shelves; cupboard; dresser; chest; locker; bedside table; tv stand; island;
        vanity; sink; changing table
    """,
    "lamp": "lamp; light; lights; lamppost; spotlight; flashlight; lantern; fluorescent strip",
    "table": "table; desk; workbench",
    "chair": "chair; armchair; stool; bench; bank; class seat; puff; lounge",
    "door_window": "door; window",
    "person": "female; male; boy; girl",
    "animal": "bulldog; cat; chicken; deer; dog; horse; rabbit; teddy bear",
    "vehicle": """
        bicycle; bike; bus; chevrolet; ford focus; fork lift; motorbike; peugeot; renault; scooter; seat leon;
        sedan; smart car; suv; tricycle; truck; van; vw; yamaha
    """,
    "plant": """
        plant; tree; acacia; bamboo; beech; bush; cactus; cypress; ficus; flowers; hedge; lily; maple; orchids;
        peach blossom; pine; poplar; spathiphyllum; tulips; yucca
    """,
    "electronics": """
        ibook; imac; iphone; phone; laptop; keyboard; tablet; tv; camera; cctv; dvd player; stereo; speaker; radio;
        mp3; video projector; playstation; joystick; printer; headphones; intercom; plug; switch; double socket;
        wall socket
    """,
    "vessel": """
        vase; bottle; glass; bowl; cup; mug; pot; pottery; jar; teapot; creamer; flacon; kettle; pan; coffee press;
        barrel; dustbin; trashcan; trash can; recycling bin; ashtray; hashtray; shaker; sugar; milk; plate; tray;
        basket; potty; basin; boiler
    """,
}
CLASS_NAMES = tuple(sorted(WORDS))


def _entries(text: str) -> list[str]:
    return [" ".join(entry.split()) for entry in text.split(";")]


_OTHERS = frozenset(_entries(OTHERS))
_PATTERNS = {kind: re.compile(rf"\b(?:{'|'.join(map(re.escape, _entries(words)))})\b") for kind, words in WORDS.items()}


def kind_of(name: str) -> str | None:
    """The class of a model by its name in a catalogue, in English; None if it is of none.

    >>> kind_of("Glass door cabinet"), kind_of("Wine bottle"), kind_of("Roasted chicken"), kind_of("Harp")
    ('cabinet', 'vessel', None, None)
    """
    small = " ".join(name.lower().split())
    if small in _OTHERS:
        return None
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.search(small)), None)

"""Fields, schemas, changes of them and patterns by chance; what a patterns' test text may be made of."""

from hypothesis import strategies as st

from llmspell.errors import InvalidInput
from llmspell.schemas.field import Field, field_of
from llmspell.schemas.schema import Schema

NAMES = ("a", "b", "c")
PATTERNS = ("[ab]{1,3}", "a*", "(ab|c)+", "[a-c]?x", "[^a]*", ".{2}", "a|bb|ccc", "[0-9]{2,4}", "(a|b)*b")
ENUMS = ("a", "bb", "", 0, 1, 2, 1.0, 0.5, True, False, None, [], [1], {}, {"a": 1}, {"a": "bb"})
_bounds = st.one_of(st.none(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, -1.5, 2.5]))
_lengths = st.one_of(st.none(), st.integers(0, 3))


def sound(spec):
    """The field of a spec, None when it is unsound: strategies leave these out."""
    try:
        return field_of(spec)
    except InvalidInput:
        return None


@st.composite
def specs(draw, depth=2):
    """Arguments of a field, often but not always sound."""
    kinds = ["any", "boolean", "integer", "float", "number", "string", *(["list", "object"] if depth else [])]
    spec = {"type": draw(st.sampled_from(kinds))}
    if draw(st.booleans()) and draw(st.booleans()):
        spec["nullable"] = True
    if spec["type"] in {"integer", "float", "number"}:
        spec |= {"min": draw(_bounds), "max": draw(_bounds)}
    if spec["type"] in {"string", "list"}:
        spec |= {"length_min": draw(_lengths), "length_max": draw(_lengths)}
    if spec["type"] == "string" and draw(st.booleans()):
        spec["pattern"] = draw(st.sampled_from(PATTERNS))
    if spec["type"] == "list" and draw(st.booleans()):
        spec["items"] = draw(specs(depth=depth - 1))
    if spec["type"] == "object":
        spec |= draw(objects(depth))
    if draw(st.integers(0, 5)) == 0:
        spec["enum"] = draw(st.lists(st.sampled_from(ENUMS), min_size=1, max_size=4))
    return spec


@st.composite
def objects(draw, depth):
    """What makes a field an object with fields, a map, or both."""
    spec = {}
    if draw(st.integers(0, 4)):
        named = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
        spec["fields"] = {name: draw(members(named, name, depth - 1)) for name in named}
    else:
        spec |= {"length_min": draw(_lengths), "length_max": draw(_lengths)}
    rest = draw(st.sampled_from(["keep", "keep", "refuse", "items"]))
    if rest == "refuse":
        spec["unknown"] = "refuse"
    elif rest == "items":
        spec["items"] = draw(specs(depth=depth - 1))
    return spec


@st.composite
def members(draw, named, name, depth):
    """A field within an object: perhaps optional, with a default, or in need of others."""
    spec = draw(specs(depth=depth))
    how = draw(st.sampled_from(["required", "optional", "default"]))
    if how == "optional":
        spec["required"] = False
    elif how == "default":
        spec["default"] = draw(st.sampled_from(ENUMS))
    others = [one for one in named if one != name]
    if others and draw(st.integers(0, 3)) == 0:
        spec["needs"] = [draw(st.sampled_from(others))]
    return spec


def fields(depth=2):
    """Sound fields."""
    return specs(depth=depth).map(sound).filter(lambda field: field is not None)


@st.composite
def pairs(draw):
    """Two fields: one, and a change of it or another one."""
    old = draw(specs()) if draw(st.integers(0, 3)) == 0 else {"type": "object"} | draw(objects(2))
    new = old
    for _ in range(draw(st.integers(1, 3))):
        new = draw(changed(new))
    return old, draw(st.sampled_from([new, new, new, draw(specs())]))


@st.composite
def changed(draw, old):
    """A spec with one property, here or below, drawn anew."""
    new = dict(old)
    inside = [name for name in ("items", "fields") if new.get(name)]
    if inside and draw(st.booleans()):
        name = draw(st.sampled_from(inside))
        if name == "items":
            new["items"] = draw(changed(new["items"]))
        else:
            one = draw(st.sampled_from(sorted(new["fields"])))
            new["fields"] = new["fields"] | {one: draw(changed(new["fields"][one]))}
        return new
    if new.get("fields") is not None and draw(st.booleans()):
        name = draw(st.sampled_from(NAMES))
        how = draw(st.sampled_from(["drop", "anew", "how", "how"]))
        if how == "drop" or (how == "how" and name not in new["fields"]):
            new["fields"] = {one: spec for one, spec in new["fields"].items() if one != name}
            return new
        spec = draw(members([*new["fields"]], name, 1))
        if how == "how":
            before = new["fields"][name]
            kept = {one: value for one, value in before.items() if one not in {"required", "default", "needs"}}
            spec = kept | {one: value for one, value in spec.items() if one in {"required", "default", "needs"}}
        new["fields"] = new["fields"] | {name: spec}
        return new
    other = draw(specs())
    return new | ({"type": other["type"]} if draw(st.booleans()) else {k: v for k, v in other.items() if k != "type"})


def versions_of(old, new):
    """Two versions of a schema whose values are these fields; None when one is unsound."""
    old, new = sound(old), sound(new)
    if not isinstance(old, Field) or not isinstance(new, Field):
        return None
    try:
        return Schema("s", "1.0.0", value=old), Schema("s", "2.0.0", value=new)
    except InvalidInput:
        return None


schema_pairs = pairs().map(lambda pair: versions_of(*pair)).filter(lambda pair: pair is not None)
json_values = st.recursive(
    st.sampled_from([*ENUMS, "abab", "ab", "x", "é", -2, 3, 2.5, "12"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "d"]), inner, max_size=3),
    max_leaves=6,
)

_atoms = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^ab]", r"\d", r"\w", r"\W", r"\.", "é", "[a-c0-9]", r"\n"])
expressions = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{0,2}", "{1,}", "{,3}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=8,
)
texts = st.text(alphabet="abc0_.é\n ", max_size=8)

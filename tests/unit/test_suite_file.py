import pytest

from vqbench.errors import SuiteError, UsageError
from vqbench.plan import load_suite
from vqbench.plan.overrides import apply_overrides

GOOD = """
schema = 1
name = "small"
stride = 8
[data]
name = "photos"
image_size = 64
[[quantizers]]
name = "fsq"
params = { levels = [8, 8] }
[[quantizers]]
name = "vqgan"
label = "vq"
[[backbones]]
name = "unet"
[recipe]
steps = 10
"""


@pytest.fixture
def suite_file(tmp_path):
    def write(text=GOOD, replace=(), append=""):
        for old, new in replace:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "suite.toml"
        path.write_text(text + append)
        return path

    return write


def test_a_good_suite_is_read_with_its_defaults(suite_file):
    suite = load_suite(suite_file())
    assert (suite.name, suite.stride, suite.seeds) == ("small", 8, [0])
    assert [q.name for q in suite.quantizers] == ["fsq", "vqgan"]
    assert suite.data[0].image_size == 64
    assert suite.recipe.steps == 10
    assert suite.equal_bits is False


@pytest.mark.parametrize(
    ("replace", "parts"),
    [
        ([("steps = 10", "stepz = 10")], ["'recipe.stepz'", "unknown key", "Did you mean 'steps'?"]),
        ([("stride = 8", "strid = 8")], ["'strid'", "unknown key", "Did you mean 'stride'?"]),
        ([("steps = 10", 'steps = "ten"')], ["'recipe.steps'", "got 'ten'", "integer"]),
        ([("steps = 10", "steps = -1")], ["'recipe.steps'", "got -1", "greater than or equal to 0"]),
        ([("steps = 10", "lr = nan")], ["'recipe.lr'", "finite"]),
        ([('label = "vq"', "lable = 3")], ["'quantizers[1].lable'", "Did you mean 'label'?"]),
        ([("image_size = 64", "")], ["'data[0].image_size' is missing"]),
        ([('name = "small"', 'name = "../up"')], ["'name'", "../up"]),
        ([("schema = 1", "schema = 2")], ["'schema'", "got 2", "1"]),
        ([("[[backbones]]", "[[backbonez]]")], ["'backbones' is missing"]),
        ([("steps = 10", "steps = 10\nwarmup_steps = 20")], ["'recipe'", "warmup_steps (20) exceeds steps (10)"]),
        ([("steps = 10", 'optimizer = "sgd"')], ["'recipe.optimizer'", "got 'sgd'", "'adam' or 'adamw'"]),
    ],
)
def test_a_mistake_is_named_with_file_key_got_and_expected(suite_file, replace, parts):
    path = suite_file(replace=replace)
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    message = str(caught.value)
    assert str(path) in message
    for part in parts:
        assert part in message


def test_a_suite_on_a_base_replaces_whole_keys_of_it(suite_file):
    path = suite_file()
    child = path.with_name("child.toml")
    child.write_text('base = "suite.toml"\nname = "child"\nseeds = [1, 2]\n[recipe]\nlr = 0.5\n')
    suite, base = load_suite(child, ["quantizers.fsq.params.levels=[4]"]), load_suite(path)
    assert (suite.name, suite.seeds, suite.stride) == ("child", [1, 2], 8)
    assert (suite.recipe.lr, suite.recipe.steps) == (0.5, type(suite.recipe)().steps)  # not the base's 10
    assert suite.quantizers[0].params == {"levels": [4]}
    assert suite.backbones == base.backbones


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('base = "../suite.toml"\nname = "x"\n', "same folder"),
        ('base = "/etc/passwd"\nname = "x"\n', "same folder"),
        ('base = 3\nname = "x"\n', "same folder"),
        ('base = "suite.toml"\n', "'name' is missing"),
        ('base = "absent.toml"\nname = "x"\n', r"absent\.toml cannot be read"),
        ('base = "child.toml"\nname = "x"\n', "not in a circle"),
    ],
)
def test_a_wrong_base_is_refused(suite_file, text, message):
    child = suite_file().with_name("child.toml")
    child.write_text(text)
    with pytest.raises(SuiteError, match=message):
        load_suite(child)


def test_broken_toml_is_one_message_with_the_place(suite_file):
    with pytest.raises(SuiteError, match=r"not valid TOML.*line 2"):
        load_suite(suite_file("schema = 1\nname = \n"))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x = 1\n" * 300_000, b"a = " + b"[" * 5000])
def test_files_that_are_no_suites_are_refused(tmp_path, content):
    path = tmp_path / "odd.toml"
    path.write_bytes(content)
    with pytest.raises(SuiteError, match=r"odd\.toml"):
        load_suite(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SuiteError, match="No such file"):
        load_suite(tmp_path / "nowhere.toml")


def test_set_changes_values_tables_entries_by_label_and_all_entries(suite_file):
    suite = load_suite(
        suite_file(),
        [
            "recipe.steps=50",
            "data.params.root=~/photos",
            "quantizers.fsq.params.levels=[4, 4]",
            "quantizers.vq.preset=wide",
            "backbones.preset=tiny",
            "seeds=[1,2]",
        ],
    )
    assert suite.recipe.steps == 50
    assert suite.data[0].params == {"root": "~/photos"}
    assert suite.quantizers[0].params == {"levels": [4, 4]}
    assert [q.preset for q in suite.quantizers] == [None, "wide"]
    assert suite.backbones[0].preset == "tiny"
    assert suite.seeds == [1, 2]


@pytest.mark.parametrize("text", ["recipe.steps", "=3", "a..b=1", "name.deeper=1", "quantizers.fsq=1"])
def test_a_malformed_set_is_a_usage_error(text):
    document = {"name": "x", "quantizers": [{"name": "fsq"}]}
    with pytest.raises(UsageError, match="--set"):
        apply_overrides(document, [text])


def test_set_does_not_change_the_document_it_is_given():
    document = {"recipe": {"steps": 1}}
    assert apply_overrides(document, ["recipe.steps=2"]) == {"recipe": {"steps": 2}}
    assert document == {"recipe": {"steps": 1}}

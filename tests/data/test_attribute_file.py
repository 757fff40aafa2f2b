import numpy as np
import pytest

from vae_helpers.data import read_attributes
from vae_helpers.errors import InputError

NAMES = ("day/1.jpg", "day/2.jpg", "night/3.jpg", "4.png")


@pytest.fixture
def read(tmp_path):
    """Reads a file of that text or those bytes, as attributes of NAMES."""

    def from_text(text, name="table.csv", names=NAMES):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_attributes(path, names)

    return from_text


def _values(table):
    return table.values.tolist()


def test_numbers_words_and_what_is_missing(read, capsys):
    table = read(
        "file,age,smile,kind\nday/1.jpg,31,-1,red\nday/2.jpg,,1,blue\nnight/3.jpg,7.5,1,\nnobody.jpg,1,1,red\n"
    )
    assert table.names == ("age", "smile", "kind") and [a.kind for a in table.table] == ["number", "number", "category"]
    assert np.array_equal(table.values, [[31, -1, 1], [np.nan, 1, 0], [7.5, 1, np.nan], [np.nan] * 3], equal_nan=True)
    assert (table.table[0].low, table.table[0].high) == (7.5, 31) and table.table[1].low == -1
    assert table.table[2].choices == ("blue", "red") and table.table[0].source == "table.csv"
    said = capsys.readouterr().err
    assert "1 pictures have no row" in said and "1 rows name no picture of this set (the first: 'nobody.jpg')" in said
    assert "2 cells are empty" in said


@pytest.mark.parametrize(
    "text",
    [
        "f;a;b\n1.jpg;1,5;2\n2.jpg;-1;3\n",
        "f\ta\tb\n1.jpg\t1.5\t2\n2.jpg\t-1\t3\n",
        "f a b\n1.jpg 1.5 2\n2.jpg  -1  3\n",
        "2\na b\n1.jpg 1.5 2\n2.jpg -1 3\n",
        'f, a, b\r\n"1.jpg", 1.5, 2\r\n2.jpg, -1, 3\r\n\r\n',
        "\ufefff,a,b\n1.jpg,1.5,2\n2.jpg,-1,3",
        "f,a,b\n1.jpg,1.5,2\n2.jpg,-1,3\n".encode("utf-16"),
    ],
)
def test_any_delimiter_and_celebas_own_form(read, text):
    table = read(text)
    assert table.names == ("a", "b")
    assert _values(table)[:2] == [[1.5, 2], [-1, 3]] and np.isnan(table.values[2:]).all()


def test_celebas_lists_open_as_they_are(read):
    names = ("000001.jpg", "000002.jpg")
    attr = read(
        "2\n5_o_Clock_Shadow Arched_Eyebrows \n000001.jpg -1  1\n000002.jpg  1 -1\n", "list_attr_celeba.txt", names
    )
    assert attr.names == ("5_o_Clock_Shadow", "Arched_Eyebrows") and _values(attr) == [[-1, 1], [1, -1]]
    box = read("2\nimage_id x_1 y_1\n000001.jpg    95  71\n000002.jpg    72  94\n", "list_bbox_celeba.txt", names)
    assert box.names == ("x_1", "y_1") and _values(box) == [[95, 71], [72, 94]]
    part = read("000001.jpg 0\n000002.jpg 2\n", "list_eval_partition.txt", names)
    assert part.names == ("list_eval_partition",) and _values(part) == [[0], [2]]
    png = read("2\nSmiling Young\n000001.jpg -1  1\n000002.jpg  1 -1\n", "list.txt", ("a/000001.png", "a/000002.png"))
    assert _values(png) == [[-1, 1], [1, -1]]


def test_pictures_are_named_in_any_usual_way(read):
    for given in (
        "night/3.jpg",
        "./night/3.jpg",
        "C:\\data\\night\\3.jpg",
        "/home/me/night/3.jpg",
        "3.jpg",
        "3",
        "night/3",
    ):
        assert read(f"f,a\n{given},5\n").values[2, 0] == 5, given
    with pytest.raises(InputError, match="none of the 1 rows"):
        read("f,a\nday/3.jpg,5\n")
    with pytest.raises(InputError, match="could be 'day/1.jpg' or 'night/1.jpg'"):
        read("f,a\n1.jpg,5\n", names=("day/1.jpg", "night/1.jpg"))


def test_a_row_twice_is_one_row_unless_it_differs(read):
    assert read("f,a\n1.jpg,5\n1.jpg,5\n").values[0, 0] == 5
    with pytest.raises(InputError, match="lines 2 and 4 of table.csv both name 'day/1.jpg'"):
        read("f,a\n1.jpg,5\n2.jpg,5\nday/1.jpg,6\n")


@pytest.mark.parametrize(
    "text, word",
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("f,a\n", "no rows|none of the"),
        ("one\ntwo\n", "has one column"),
        ("f,a\n1.jpg,5\n2.jpg,old\n", "line 3 of table.csv has 'old' for 'a'"),
        ("f,a\n1.jpg,5\n2.jpg,inf\n", "'inf' for 'a'"),
        ("f,a,b\n1.jpg,5,6\n2.jpg,5\n3.jpg,1,2\n", "line 3 .* has 2 cells"),
        ("f,a,a\n1.jpg,5,6\n", "two columns called 'a'"),
        (b"f,a\n\xe9.jpg,5\n", "not text in UTF-8"),
        (b"PK\x03\x04\0\0\0,a", "no text file"),
        ("f,a\nx.jpg,5\ny.jpg,6\n", "none of the 2 rows"),
        ("f,a\n" + "".join(f"{i}.jpg,w{i}\n" for i in range(300)), "300 different words"),
    ],
)
def test_what_cannot_be_read_gets_a_sentence(read, text, word):
    with pytest.raises(InputError, match=word):
        read(text)


def test_a_missing_file_gets_a_sentence(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_attributes(tmp_path / "none.csv", NAMES)
    with pytest.raises(InputError, match="cannot be read"):
        read_attributes(tmp_path, NAMES)

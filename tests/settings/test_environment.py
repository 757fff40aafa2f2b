"""What the environment says about a run: torchrun's variables, and how often to save."""

import pytest

from vae_helpers.errors import InputError
from vae_helpers.settings import local_rank, rank_and_size, save_every


@pytest.mark.parametrize(
    "environment, found",
    [
        ({}, (0, 1)),
        ({"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}, (0, 1)),
        ({"RANK": "0"}, (0, 1)),
        (
            {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"},
            (1, 2),
        ),
    ],
)
def test_what_torchrun_leaves_is_understood(environment, found):
    assert rank_and_size(environment) == found


@pytest.mark.parametrize(
    "changes",
    [
        {"RANK": None},
        {"RANK": "2"},
        {"RANK": "-1"},
        {"RANK": ""},
        {"WORLD_SIZE": "0"},
        {"WORLD_SIZE": "two"},
        {"WORLD_SIZE": None},
        {"MASTER_ADDR": None},
        {"MASTER_PORT": None},
        {"MASTER_PORT": "1e9"},
        {"LOCAL_RANK": "7"},
    ],
)
def test_what_torchrun_would_not_leave_is_refused(changes):
    environment = {
        "WORLD_SIZE": "2",
        "RANK": "1",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "29500",
    } | changes
    with pytest.raises(InputError, match="start with torchrun, or unset"):
        rank_and_size({name: value for name, value in environment.items() if value is not None})


def test_the_number_on_this_machine_is_read_as_strictly():
    assert local_rank({}) == 0 and local_rank({"WORLD_SIZE": "4", "LOCAL_RANK": "3"}) == 3
    with pytest.raises(InputError, match="LOCAL_RANK cannot be used, because 'abc' is no whole number"):
        local_rank({"WORLD_SIZE": "4", "LOCAL_RANK": "abc"})


def test_seconds_between_checkpoints():
    assert save_every({}) == 120 and save_every({"VAE_SAVE_EVERY": "0.5"}) == 0.5
    assert save_every({"VAE_SAVE_EVERY": "inf"}) == float("inf")


@pytest.mark.parametrize("text", ["abc", "", "nan", "-1"])
def test_what_is_no_number_of_seconds_gets_a_sentence(text):
    with pytest.raises(InputError, match="VAE_SAVE_EVERY is .*, but must be a number of seconds from 0 on: set it"):
        save_every({"VAE_SAVE_EVERY": text})

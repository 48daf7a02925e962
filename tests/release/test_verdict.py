import pytest

from slate.errors import GateError
from slate.release.verdict import Check, Verdict

GOOD = Check(name="users", value=120, threshold=100, passed=True, detail="120 users.")
BAD = Check(name="index_recall", value=0.4, interval=None, threshold=0.95, passed=False, detail="40%.")


def test_the_manifest_keys():
    dumped = Verdict(status="refused", checks=(GOOD, BAD)).model_dump(mode="json")
    assert list(dumped) == ["status", "checks"]
    assert list(dumped["checks"][0]) == ["name", "value", "interval", "threshold", "passed", "detail"]


def test_failed_are_the_checks_that_refused():
    assert Verdict(status="refused", checks=(GOOD, BAD)).failed == (BAD,)


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(status="passed", checks=(GOOD, BAD)),
        Verdict(status="refused", checks=(GOOD,)),
        Verdict(status="passed", checks=()),
        Verdict(status="unchanged", checks=(BAD,)),
    ],
)
def test_a_status_that_its_checks_contradict_is_refused(verdict):
    with pytest.raises(GateError, match="contradict"):
        Verdict.from_json(verdict.to_json())


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"status": "approved", "checks": []}', '{"status": "passed", "checks": [], "by": "me"}'],
)
def test_other_json_is_refused(text):
    with pytest.raises(GateError, match="run the gate again"):
        Verdict.from_json(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_check_holds_finite_numbers_only(value):
    with pytest.raises(ValueError, match="finite"):
        Check(name="x", value=value, passed=True, detail="d")

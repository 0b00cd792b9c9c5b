import pytest
from pydantic import BaseModel, ValidationError

from vidette.units import Duration, Size


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("2s", 2.0), ("1.5min", 90.0), ("1h", 3600.0), ("1d", 86400.0), ("0", 0.0)]
)
def test_durations_read_and_print(text: str, seconds: float) -> None:
    assert float(Duration(text)) == pytest.approx(seconds)
    assert Duration(str(Duration(text))) == Duration(text)


def test_a_duration_prints_as_it_was_written() -> None:
    assert str(Duration("500ms")) == "500ms"


@pytest.mark.parametrize(("text", "size"), [("64MB", 64e6), ("2GiB", 2 * 2**30), ("17", 17.0), ("1 kB", 1000.0)])
def test_sizes_read_and_print(text: str, size: float) -> None:
    assert float(Size(text)) == size
    assert str(Size(text)) == text


@pytest.mark.parametrize("text", ["5", "5 fortnights", "-1s", "ms", "", "1e3s", "NaNs"])
def test_what_is_not_a_duration_is_refused_with_the_value(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        Duration(text)


def test_in_a_model_they_validate_serialise_and_describe_themselves() -> None:
    class Settings(BaseModel):
        wait: Duration
        limit: Size = Size("64MB")

    settings = Settings.model_validate({"wait": "250ms"})
    assert float(settings.wait) == 0.25
    assert settings.model_dump_json() == '{"wait":"250ms","limit":"64MB"}'
    assert "pattern" in str(Settings.model_json_schema()["properties"]["wait"])
    with pytest.raises(ValidationError, match="not a duration"):
        Settings.model_validate({"wait": "soon"})
    with pytest.raises(ValidationError, match="write it like"):
        Settings.model_validate({"wait": True})

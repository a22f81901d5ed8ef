"""Which layers stand for a recording where nobody names any."""

from __future__ import annotations

from phosphene.audio.terms import chosen
from phosphene.models import load


def test_yamnets_style_is_its_mel_spectrum_and_nothing_behind() -> None:
    model = load("yamnet", weights="random")
    content, style = chosen(model)
    assert style == ("mel",)
    assert [layer for layer in (*content, *style) if layer not in model.layers] == []


def test_other_networks_have_a_layer_of_each_scale() -> None:
    assert len(chosen(load("crepe_tiny", weights="random"))[1]) > 1
    assert chosen(load("random_sound"))[1][0] == "levels"

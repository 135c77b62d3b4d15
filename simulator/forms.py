"""Which form the registers of a device's layers have."""

from __future__ import annotations

from collections.abc import Mapping

from offramp.configs.device import Device
from offramp.simulator.form import LayerForm
from offramp.simulator.image_form import IMAGE_FORM
from offramp.simulator.window_form import WINDOW_FORM

FORMS: Mapping[str, LayerForm] = {"image": IMAGE_FORM, "window": WINDOW_FORM}


def form_of(device: Device) -> LayerForm:
    return FORMS[device.layer_form]

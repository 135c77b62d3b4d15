"""Questions about what survives between runs: registers written anew, resets, power, sleep, one layer at a time."""

from __future__ import annotations

from collections.abc import Mapping

from offramp.codegen.program import switching
from offramp.configs.device import Device
from offramp.silicon import actions
from offramp.silicon.actions import Steps
from offramp.silicon.specimens import Specimen, checksum
from offramp.silicon.steps import Code, Measurement, Question, Step

Specimens = Mapping[str, Specimen]
PAIRS = (  # what ran before, and what may find traces of it
    ("average-pool", "conv3x3"),
    ("average-only", "max-pool"),
    ("conv3x3", "conv1d"),
    ("flatten", "conv3x3"),
    ("quadrants", "conv1x1"),
    ("passes", "wide"),
    ("transposed", "four-bit"),
    ("add", "conv1d"),
    ("streaming", "conv3x3"),
)
OFF_US = 500_000  # long enough for memory cells without supply to forget
SLEEP_US = 100_000
MARKER = 0x5A5A5A5A


def control(specimens: Specimens) -> Question:
    """Each network after power-up: if this differs, the rest tells little."""
    found = (
        Measurement(
            f"control.{name}",
            (*actions.whole_run(one), *actions.result(one)),
            (checksum(tuple(one.result().values())),),
        )
        for name, one in specimens.items()
    )
    return Question(
        "control",
        "Does each kind of layer give what the integer reference gives, after power-up?",
        "yes, bit for bit",
        "If it does not, the answers to the other questions tell little.",
        tuple(found),
    )


def rewrite(specimens: Specimens) -> Question:
    """Registers of one program written over those of another."""
    found = [one for before, after in PAIRS for one in _pair(specimens[before], specimens[after])]
    return Question(
        "rewrite",
        "Do registers written over another program's, without a reset, give the same result as after one?",
        "yes, in both directions, where only changed registers are written",
        "A switch between stages is such a rewrite: everything here rests on it. The vendor's own example "
        "with several models switches power instead.",
        tuple(found),
    )


def _pair(before: Specimen, after: Specimen) -> tuple[Measurement, Measurement]:
    states = switching((before.program, after.program), before.device)
    name = f"rewrite.{before.name}.{after.name}"
    first = (
        *actions.power_on(before.device),
        *actions.load(before),
        actions.writes(states.configure(0)),
        *actions.run(before),
        *_again(after, actions.writes(states.transition(0, 1))),
    )
    back = _again(before, actions.writes(states.transition(1, 0)))
    return (
        Measurement(name, first, same_as=f"control.{after.name}"),
        Measurement(f"{name}.back", back, same_as=f"control.{before.name}"),
    )


def _again(specimen: Specimen, registers: Step) -> Steps:
    return (*actions.load(specimen), registers, *actions.run(specimen), *actions.result(specimen))


def reset_pulse(specimens: Specimens) -> Question:
    """A reset pulse of the power block with power on."""
    one = specimens["conv3x3"]
    device = one.device
    pulsed = (*actions.pulse(device), *actions.awake(device))
    rest = (*actions.configure(one), *actions.run(one), *actions.result(one))
    registers = [device.register_address(name, 0, 0) for name in ("RCNT", "MCNT", "EN", "LCTRL0")]
    same = f"control.{one.name}"
    return Question(
        "reset",
        "Does a reset pulse (GCFR) with power on clear the registers and keep the memories?",
        "yes: registers read 0; data, kernels and biases stay",
        "A pulse would clear all registers of a stuck accelerator without loading kernels again.",
        (
            Measurement(
                "reset.data",
                (*actions.whole_run(one), *pulsed, *actions.result(one)),
                same_as=same,
                others={"data cleared": (checksum((0,) * len(one.result())),)},
            ),
            Measurement(
                "reset.registers",
                (*actions.whole_run(one), *pulsed, *(Step(Code.READ, address) for address in registers)),
                (0,) * len(registers),
            ),
            Measurement(
                "reset.kernels",
                (*actions.whole_run(one), *pulsed, *actions.load_biases(one), *actions.load_input(one), *rest),
                same_as=same,
            ),
            Measurement(
                "reset.biases",
                (*actions.whole_run(one), *pulsed, *actions.load_weights(one), *actions.load_input(one), *rest),
                same_as=same,
            ),
        ),
    )


def retention(specimens: Specimens) -> Question:
    """Power off with the weight memories supplied; sleep of the weight memories."""
    one = specimens["conv3x3"]
    device = one.device
    every = actions.every(device)
    kept = {"kept": (checksum(tuple(one.result().values())),)}
    return Question(
        "retention",
        "Do kernels stay while only the weight memories have power (GCFR), and in their deep sleep (AON)?",
        "yes; without supply they are lost; of the retention bits (GCFR_ISOLATE) nothing",
        "A product that sleeps between inferences would wake without loading kernels.",
        (
            Measurement("retention.supplied", _without_power(one, supplied=every), same_as=f"control.{one.name}"),
            Measurement("retention.off", _without_power(one), unlike=f"control.{one.name}"),
            Measurement("retention.kernels-enabled", _without_power(one, retain=every), others=kept),
            Measurement(
                "retention.data-enabled",
                (
                    *actions.whole_run(one),
                    *actions.power_off(device, OFF_US, supplied=every, retain=every),
                    *actions.power_on(device),
                    *actions.result(one),
                ),
                others=kept,
            ),
            Measurement(
                "retention.sleep",
                (*actions.whole_run(one), *_sleep(device), *actions.load_input(one), *_run_again(one)),
                same_as=f"control.{one.name}",
            ),
        ),
    )


def _without_power(one: Specimen, supplied: int = 0, retain: int = 0) -> Steps:
    return (
        *actions.whole_run(one),
        *actions.power_off(one.device, OFF_US, supplied, retain),
        *actions.power_on(one.device),
        *actions.load_biases(one),
        *actions.load_input(one),
        *actions.configure(one),
        *_run_again(one),
    )


def _run_again(one: Specimen) -> Steps:
    return (*actions.run(one), *actions.result(one))


def _sleep(device: Device) -> Steps:
    address = device.register_address("AON")
    asleep = device.registers["AON"].encode({"mask_sleep": actions.every(device)})
    return (Step(Code.WRITE, address, asleep), Step(Code.WAIT, value=SLEEP_US), Step(Code.WRITE, address))


def one_shot(specimens: Specimens) -> Question:
    """Two layers with CTRL.one_shot: what ran after the first start, what after the second."""
    one = specimens["two-layers"].with_fields({}, {"one_shot": 1})
    device = one.device
    fresh = dict.fromkeys(one.result(), MARKER) | actions.input_words(one)
    outputs = [checksum(tuple(one.result(layer).values())) for layer in (0, 1)]
    first = (outputs[0], checksum(tuple(fresh[address] for address in one.result())))
    both = (outputs[0], outputs[1])
    paused = device.registers["CTRL"].encode(one.program.control)
    stop = Step(Code.WRITE, device.register_address("CTRL", one.master), paused)
    look = (*actions.result(one, 0), *actions.result(one, 1))
    prepared = (
        *actions.power_on(device),
        *actions.fill(one, MARKER, 0),
        *actions.fill(one, MARKER, 1),
        *actions.load(one),
        *actions.configure(one),
    )
    return Question(
        "one-shot",
        "With CTRL.one_shot, does each start run one layer?",
        "nothing: it is not used",
        "With it an early exit would need no registers rewritten at all.",
        (
            Measurement(
                "one-shot.first",
                (*prepared, *actions.begin(one), stop, *look),
                others={"ran layer 0 only": first, "ran both layers": both},
            ),
            Measurement(
                "one-shot.second",
                (*actions.begin(one), stop, *look),
                others={"layer 1 has not run": first, "both layers have run": both},
            ),
        ),
    )

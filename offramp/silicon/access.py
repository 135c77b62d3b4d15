"""Questions about the bus: what reads back, the done flag and its interrupt, times, and quadrants without power."""

from __future__ import annotations

from collections.abc import Mapping

from offramp.codegen.load_images import weight_chunks, weight_runs
from offramp.configs.device import Device
from offramp.configs.registers import Register
from offramp.silicon import actions
from offramp.silicon.networks import timed_networks
from offramp.silicon.specimens import Specimen, make_specimen
from offramp.silicon.steps import Code, Measurement, Question, Step

Specimens = Mapping[str, Specimen]
ALL_BITS = 0xFFFFFFFF
# Interrupts pending in the core's controller (Arm DDI 0403, B3.4): set where pending, and written to clear.
NVIC_PENDING, NVIC_CLEAR = 0xE000E200, 0xE000E280
# Fields that do something when they are set, and are left alone.
NOT_WALKED = {
    "CTRL": ("enable", "done", "mlat_load", "clock_enable"),
    "SRAM": ("deep_sleep", "power_down"),
    "AON": ("mask_power_down",),
}
DOCUMENTED = ("CTRL", "SRAM", "AON")  # other bits of these may do anything: only fields are tried
WALKED = ("CTRL", "SRAM", "LCNT_MAX", "IFRM", "AON", "FIFO_CTRL")
STOP_US = 100  # 5,000 cycles of some 15,000
CYCLES_OFF = (0.005, 25)  # polling finds the end late: up to two reads over the bus


def memories(specimens: Specimens) -> Question:
    """Reading what was loaded."""
    one = specimens["conv3x3"]
    device = one.device
    loaded = (*actions.power_on(device), *actions.load_weights(one))
    base = device.weight_address(weight_runs(one.placed)[0].processor)
    plain = Step(Code.WRITE, device.register_address("CTRL", one.master), _clock_on(device))
    reads = tuple(Step(Code.READ, base + 4 * word) for word in range(4))
    column = weight_runs(one.placed)[0].data[0]
    parts = (int(column[0]), int.from_bytes(column[1:5], "big"), int.from_bytes(column[5:9], "big"), 0)
    express = tuple(weight_chunks(one.placed)[0].words[:4].tolist())
    bias = one.tiny.network.layers[0].bias
    assert bias is not None
    (place,) = one.placed.placement.biases.values()
    addresses = [device.bias_address(place.quadrant, place.start + index) for index in range(len(bias))]
    return Question(
        "memories",
        "Can kernels and biases be read back?",
        "yes: kernels in the words of plain loading, in express mode too; biases as unsigned bytes",
        "Only what reads back can be checked after loading and in a self test.",
        (
            Measurement("memories.plain", (*loaded, plain, *reads), parts),
            Measurement("memories.express", (*loaded, *reads), parts, others={"as they were streamed": express}),
            Measurement(
                "memories.biases",
                (*loaded, *actions.load_biases(one), *(Step(Code.READ, address) for address in addresses)),
                tuple(int(value) & 0xFF for value in bias),
            ),
        ),
    )


def _clock_on(device: Device) -> int:
    return device.registers["CTRL"].encode({"clock_enable": 1})


def registers(device: Device) -> Question:
    """Ones walked over all registers that can be written: of layers in the first and the last slot."""
    names = [*WALKED, *(register.name for register in device.layer_registers())]
    return Question(
        "registers",
        "Which bits of each register read back as they were written?",
        "those of all fields, and no others",
        "Only what reads back can be checked before an inference, so that lost power is noticed.",
        tuple(_walk(device.registers[name], device) for name in names),
    )


def _walk(register: Register, device: Device) -> Measurement:
    left = sum(
        register.by_name[name].encode(register.by_name[name].limit) for name in NOT_WALKED.get(register.name, ())
    )
    replicated = "quadrant_stride" in device.blocks[register.block]
    layers = (0, register.layers - 1) if register.layers else (0,)
    addresses = [
        device.register_address(register.name, quadrant, layer)
        for quadrant in range(device.geometry.quadrants if replicated else 1)
        for layer in layers
    ]
    walked = register.mask & ~left if register.name in DOCUMENTED else ALL_BITS
    kept = _clock_on(device) if register.name == "CTRL" else 0
    steps = tuple(Step(Code.WALK, address, walked, kept) for address in addresses)
    return Measurement(
        f"registers.{register.name}",
        (*actions.power_on(device), *steps),
        (register.mask & walked,) * len(addresses),
    )


def done(specimens: Specimens) -> Question:
    """The done flag in CTRL and the interrupt that it raises."""
    one = specimens["quadrants"]
    device = one.device
    flag = device.registers["CTRL"].encode({"done": 1})
    idle = device.registers["CTRL"].encode({"clock_enable": 1, "express": 1})
    word, bit = divmod(device.core["interrupt"], 32)
    clear, pending = (
        Step(code, address + 4 * word, 1 << bit)
        for code, address in ((Code.WRITE, NVIC_CLEAR), (Code.READ, NVIC_PENDING))
    )
    controls = [device.register_address("CTRL", quadrant) for quadrant in one.program.quadrants]
    started = (*actions.power_on(device), *actions.load(one), *actions.configure(one), *actions.begin(one))
    return Question(
        "done",
        "Is the done flag set in all quadrants, is its interrupt a level, and does CTRL read back?",
        "yes to all three",
        "It decides how firmware may wait: for which flag, and whether an interrupt can be lost.",
        (
            Measurement(
                "done.flags",
                (*started, *(Step(Code.READ, address, flag) for address in controls)),
                (flag,) * len(controls),
                others={"only the master's": (flag, *(0,) * (len(controls) - 1))},
            ),
            Measurement("done.level", (clear, pending), (1 << bit,), others={"it is an edge": (0,)}),
            Measurement("done.cleared", (*actions.finish(one), clear, pending), (0,)),
            Measurement(
                "done.control", tuple(Step(Code.READ, address) for address in controls), (idle,) * len(controls)
            ),
        ),
    )


def cycles(device: Device) -> Question:
    """Times from the start to the done flag. Layers that stream wait for the core and are left out."""
    made = (make_specimen(tiny, device) for tiny in timed_networks())
    found = (
        Measurement(
            f"cycles.{one.name}",
            (*actions.whole_run(one), Step(Code.TIME)),
            (one.cycles,),
            tolerance=CYCLES_OFF,
        )
        for one in made
    )
    return Question(
        "cycles",
        "How many cycles does each kind of layer take?",
        "those of the cycle model, within 0.5 % and 25 cycles, which polling takes",
        "Every time and saving that Offramp states comes from the model.",
        tuple(found),
    )


def stop(device: Device) -> Question:
    """A run stopped in its middle and started again: how long the second start takes."""
    one = next(make_specimen(tiny, device) for tiny in timed_networks() if tiny.name == "two-layers")
    clear = Step(Code.WRITE, device.register_address("CTRL", one.master), _clock_on(device))
    early = tuple(step for step in actions.begin(one) if step.code != Code.AWAIT)
    return Question(
        "stop",
        "Does a run that is stopped (CTRL.enable cleared) begin anew at the next start?",
        "yes: the second start takes as long as a whole run",
        "After a timeout firmware must be able to start again without a reset.",
        (
            Measurement(
                "stop.again",
                (
                    *actions.power_on(device),
                    *actions.load(one),
                    *actions.configure(one),
                    *early,
                    Step(Code.WAIT, value=STOP_US),
                    clear,
                    *actions.begin(one),
                    Step(Code.TIME),
                ),
                (one.cycles,),
                tolerance=CYCLES_OFF,
            ),
        ),
    )


def unpowered(device: Device) -> Question:
    """Reads of a quadrant without power. The last question, since nobody knows whether the bus answers."""
    last = device.geometry.quadrants - 1
    instance = last * device.geometry.instances_per_quadrant
    off = actions.without_quadrant(device, last)
    reads = {"register": device.register_address("CTRL", last), "data": device.data_address(instance, 0)}
    return Question(
        "unpowered",
        "What does a quadrant without power read as?",
        "nothing: it is never read",
        "Firmware that notices lost power has to read; it must not hang in that.",
        tuple(
            Measurement(
                f"unpowered.{name}",
                (*actions.power_on(device), *off, Step(Code.READ, address)),
                others={"zeros": (0,), "ones": (ALL_BITS,)},
            )
            for name, address in reads.items()
        ),
    )

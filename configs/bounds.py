"""How large a user's files and arrays may be: what fits the device passes, and nothing can take all memory.

In the device's terms: all of its weight memory in weights of 1 bit is 3.5 million values, its data memory 0.5 million
bytes, and the largest input that streams, 3 x 1023 x 1023, 3.1 million.
"""

from __future__ import annotations

LARGEST_TENSOR = 1 << 22  # values of a tensor: input, weights of a layer, or output
CHECKPOINT_VALUES = 1 << 24  # of all tensors of a checkpoint together: four times what the device can hold
CHECKPOINT_FILE = 256 << 20  # bytes; training keeps some floats for each weight
DATA_FILE = 256 << 20  # bytes of a data set's file, and of all arrays in it
DATA_SOURCE = 1 << 30  # bytes of all files and of all arrays that data sets are made from
PICTURE_FILE = 16 << 20  # bytes of a picture's file
TEXT_FILE = 1 << 20  # bytes of a YAML file
FIRMWARE_FILE = 16 << 20  # bytes of an ELF file; the part has 512 KiB of flash
CORPUS_FILE = 64 << 20  # bytes of a corpus case's file, and of all arrays in it
JSON_FILE = 16 << 20  # bytes
YAML_VALUES = 100_000  # keys and values of a YAML file, each alias counted as what it stands for
DEPTH = 64  # depth of nested mappings and lists

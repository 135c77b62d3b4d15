# Settings of the SDK's build for this project. Sources are in src, headers in include, where the SDK looks by itself.
PROJECT = small
TARGET = MAX78000
BOARD ?= EvKit_V1
# Another board of this chip: make BOARD=FTHR_RevA

# Cycle figures of the core were counted at this level:
MXC_OPTIMIZE_CFLAGS = -O2

# Settings of the SDK's build for this project.
PROJECT = small
TARGET = MAX78000
BOARD ?= EvKit_V1
# The Feather board: make BOARD=FTHR_RevA

AUTOSEARCH = 1
VPATH += src
IPATH += include

# Sleep instead of polling while the accelerator works (uses SysTick):
# PROJ_CFLAGS += -DOFFRAMP_SLEEP=1

#include "semihosting.h"

enum { SYS_OPEN = 0x01, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_SEEK = 0x0A, SYS_EXIT_EXTENDED = 0x20 };

static uint32_t call(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

int32_t semihosting_open(const char *name, bool write)
{
    uint32_t length = 0;
    while (name[length] != '\0') {
        length++;
    }
    const uint32_t arguments[3] = {(uint32_t)(uintptr_t)name, write ? 5u : 1u, length};
    return (int32_t)call(SYS_OPEN, arguments);
}

/* Both calls answer the number of bytes that are left over. */
bool semihosting_read(int32_t handle, void *to, uint32_t size)
{
    const uint32_t arguments[3] = {(uint32_t)handle, (uint32_t)(uintptr_t)to, size};
    return call(SYS_READ, arguments) == 0u;
}

bool semihosting_write(int32_t handle, const void *from, uint32_t size)
{
    const uint32_t arguments[3] = {(uint32_t)handle, (uint32_t)(uintptr_t)from, size};
    return call(SYS_WRITE, arguments) == 0u;
}

int32_t semihosting_read_at(int32_t handle, uint32_t offset, void *to, uint32_t size)
{
    const uint32_t place[2] = {(uint32_t)handle, offset};
    const uint32_t arguments[3] = {(uint32_t)handle, (uint32_t)(uintptr_t)to, size};
    uint32_t left = call(SYS_SEEK, place) == 0u ? call(SYS_READ, arguments) : UINT32_MAX;
    return left <= size ? (int32_t)(size - left) : -1;
}

void semihosting_print(const char *text)
{
    (void)call(SYS_WRITE0, text);
}

void semihosting_exit(uint32_t reason, int status)
{
    const uint32_t arguments[2] = {reason, (uint32_t)status};
    (void)call(SYS_EXIT_EXTENDED, arguments);
    for (;;) {
    }
}

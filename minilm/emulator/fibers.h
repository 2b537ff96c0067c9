// fibers.h: switch between stacks in a few instructions (ucontext would make a system call each).
#pragma once
#include <cstddef>
#include <cstdint>
#if defined(__x86_64__) || defined(__aarch64__)
extern "C" void emu_switch(void **save, void *load);
#if defined(__APPLE__)
#define EMU_SYMBOL "_emu_switch"
#else
#define EMU_SYMBOL "emu_switch"
#endif
#if defined(__x86_64__)
asm(".text\n.globl " EMU_SYMBOL "\n" EMU_SYMBOL ":\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
static const int EMU_SAVED = 6;  // words below the return address
#else
asm(".text\n.globl " EMU_SYMBOL "\n" EMU_SYMBOL ":\n"
    "sub sp,sp,#160\n"
    "stp x19,x20,[sp,#0]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\nstp x25,x26,[sp,#48]\n"
    "stp x27,x28,[sp,#64]\nstp x29,x30,[sp,#80]\nstp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\n"
    "stp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\n"
    "mov x9,sp\nstr x9,[x0]\nmov sp,x1\n"
    "ldp x19,x20,[sp,#0]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\nldp x25,x26,[sp,#48]\n"
    "ldp x27,x28,[sp,#64]\nldp x29,x30,[sp,#80]\nldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\n"
    "ldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\nadd sp,sp,#160\nret\n");
#endif
// A fresh stack whose first switch enters `entry`, which must never return.
static inline void *emu_prepare(char *stack, size_t size, void (*entry)()) {
    uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
    void **p = (void **)top;
#if defined(__x86_64__)
    *--p = nullptr;  // keeps the stack 16-byte aligned at entry, as after a call
    *--p = (void *)entry;
    for (int i = 0; i < EMU_SAVED; i++) *--p = nullptr;
#else
    p -= 20;
    for (int i = 0; i < 20; i++) p[i] = nullptr;
    p[11] = (void *)entry;  // x30, the link register
#endif
    return p;
}
#else
#error "minilm's CUDA emulator runs on x86-64 and on 64-bit ARM"
#endif

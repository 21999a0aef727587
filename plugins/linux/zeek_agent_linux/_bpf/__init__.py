"""BPF without a compiler: type look-up, an assembler, the system call, and readers.

| Module | Idea |
|---|---|
| `btf` | finds types in the kernel's own description of them |
| `kernel` | remembers what was found, per kernel, and says whether BPF may be used |
| `assembler` | instructions with named registers, labels and helpers |
| `record` | the layout of what a program hands over, for both sides |
| `syscall` | bpf(2): programs, maps, links |
| `iterator` | programs that the kernel runs for each process or descriptor when asked |
| `ring` | the buffer through which events arrive |
| `session` | programs at tracepoints, their maps and ring, together |
| `descriptors` | all that there is of it in the kernel |
| `choice` | BPF where it works, and the reason where it does not |
| `opening` | loading without making others wait |
| `programs` | the programs themselves, with what each reads |

Nothing is assembled or loaded before a query needs it, and nothing stays in
the kernel once the descriptors are closed, however the agent ends.
"""

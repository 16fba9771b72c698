/* A QEMU plugin (docs/devel/tcg-plugins of QEMU) that counts executed guest instructions. At the
 * guest's getpriority(PRIO_PROCESS, MARK + n) it writes the count so far and n to stderr: so a
 * program says itself between which of its points it is to be counted.
 *
 * The declarations are those of version 1 of QEMU's plugin interface that are used; Debian ships no
 * header of it. Blocks are counted when entered, without a lock: count one thread at a time.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MARK UINT64_C(0x57150000)
#define MOST UINT64_C(0xffff)
#define SHOWN __attribute__((visibility("default")))

typedef uint64_t plugin_id;
typedef uint64_t word;
struct qemu_plugin_tb;
enum { ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, void (*)(plugin_id, unsigned, int64_t, word, word,
                                                             word, word, word, word, word, word));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

SHOWN int qemu_plugin_version = 1;

static uint64_t executed;

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &executed, qemu_plugin_tb_n_insns(block));
}

static void called(plugin_id id, unsigned cpu, int64_t number, word which, word who, word c, word d,
                   word e, word f, word g, word h)
{
    (void)id, (void)cpu, (void)number, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (which == 0 && (who & ~MOST) == MARK) {
        fprintf(stderr, "instructions %" PRIu64 " %" PRIu64 "\n", who & MOST, executed);
        fflush(stderr);
    }
}

SHOWN int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}

/* Single system calls of the sandbox, shared by the addon and the launcher. Each returns 0 or a descriptor, else -errno.
 * Nothing is printed and nothing decided here: rules come in, compiled by TypeScript. */
#ifndef TAPPASS_KERNEL_H
#define TAPPASS_KERNEL_H

#include <linux/filter.h>
#include <stdint.h>
#include <sys/types.h>

#define owned_fd __attribute__((cleanup(close_owned))) int
void close_owned(const int *fd);

/* An O_PATH descriptor of a path that holds no symbolic link, else -ELOOP: between the check of a path and its use,
 * somebody who may write there must not be able to lead it elsewhere. Links of /proc/self are the kernel's own. */
int open_real(const char *path);

int landlock_abi(void);
int landlock_ruleset(uint64_t handled_fs, uint64_t handled_net, uint64_t scoped);
int landlock_allow_beneath(int ruleset, const char *path, uint64_t access);
int landlock_allow_port(int ruleset, uint64_t port, uint64_t access);
/* Binds the calling thread only, unless `flags` holds LANDLOCK_RESTRICT_SELF_TSYNC (ABI 8). */
int landlock_restrict(int ruleset, uint32_t flags);

/* With SECCOMP_FILTER_FLAG_TSYNC a positive result is the id of a thread that could not be synchronised: a failure. */
int seccomp_install(const struct sock_filter *filter, uint16_t count, uint32_t flags);

int forbid_new_privileges(void);
/* Empties every capability set of the calling thread and locks the ways back; -EPERM when one is left. */
int drop_capabilities(void);
int close_on_exec_from(unsigned int lowest);
int set_limit(unsigned int resource, uint64_t soft, uint64_t hard);

#endif

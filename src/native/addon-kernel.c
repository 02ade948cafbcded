/* The sandbox's calls for TypeScript: start a launcher, talk to it, reap it; ask the kernel what it knows. */
#define _GNU_SOURCE
#include "addon.h"
#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Above every number that the launcher's own descriptors are moved to, so that no move overwrites a source. */
enum { CLEAR_OF_STDIO = 10, MOST_PATH = 4096 };

static int moved_up(int fd)
{
	const int moved = fcntl(fd, F_DUPFD_CLOEXEC, CLEAR_OF_STDIO);
	return moved < 0 ? -errno : moved;
}

/* A pair of ends, both close-on-exec: `ours` stays, `theirs` is given to the child. `given` is used instead if >= 0. */
static int open_stdio(int child_number, int given, int *ours, int *theirs)
{
	int ends[2];
	*ours = -1;
	if (given >= 0) {
		*theirs = moved_up(given);
		return *theirs < 0 ? *theirs : 0;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ours = child_number == 0 ? ends[1] : ends[0];
	owned_fd low = child_number == 0 ? ends[0] : ends[1];
	*theirs = moved_up(low);
	return *theirs < 0 ? *theirs : 0;
}

static int spawn_with(const char *path, const int theirs[4], pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all, none;
	sigfillset(&all);
	sigemptyset(&none);
	if (posix_spawn_file_actions_init(&actions))
		return -ENOMEM;
	if (posix_spawnattr_init(&attributes)) {
		posix_spawn_file_actions_destroy(&actions);
		return -ENOMEM;
	}
	/* Node ignores SIGPIPE, and an ignored signal would stay ignored in the command. */
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	int failed = 0;
	for (int number = 0; number < 4 && !failed; number++)
		failed = posix_spawn_file_actions_adddup2(&actions, theirs[number], number);
	char *const argv[] = { "tappass-launcher", NULL };
	char *const environment[] = { NULL };
	if (!failed)
		failed = posix_spawn(pid, path, &actions, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -failed;
}

static int start(const char *path, const int32_t given[3], int32_t results[5])
{
	int ours[4] = { -1, -1, -1, -1 }, theirs[4] = { -1, -1, -1, -1 }, control[2], failed = 0;
	pid_t pid = -1;
	for (int number = 0; number < 3 && !failed; number++)
		failed = open_stdio(number, given[number], &ours[number], &theirs[number]);
	if (!failed) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0) {
			failed = -errno;
		} else {
			owned_fd low = control[1];
			ours[3] = control[0];
			theirs[3] = moved_up(low);
			failed = theirs[3] < 0 ? theirs[3] : 0;
		}
	}
	if (!failed)
		failed = spawn_with(path, theirs, &pid);
	for (int number = 0; number < 4; number++) {
		close_owned(&theirs[number]);
		if (failed)
			close_owned(&ours[number]);
	}
	results[0] = pid;
	results[1] = ours[3];
	for (int number = 0; number < 3; number++)
		results[2 + number] = ours[number];
	return failed;
}

/* startLauncher(path, [stdin, stdout, stderr], results): results = [pid, control, stdin, stdout, stderr]. */
static napi_value start_launcher(napi_env env, napi_callback_info info)
{
	napi_value args[3];
	size_t count = 3, length = 0, given_length = 0, results_length = 0;
	char path[MOST_PATH];
	int32_t *given, *results;
	napi_typedarray_type given_type, results_type;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 3 || napi_get_value_string_utf8(env, args[0], path, sizeof(path), &length) != napi_ok ||
	    length >= sizeof(path) - 1 || strlen(path) != length ||
	    napi_get_typedarray_info(env, args[1], &given_type, &given_length, (void **)&given, NULL, NULL) != napi_ok ||
	    napi_get_typedarray_info(env, args[2], &results_type, &results_length, (void **)&results, NULL, NULL) != napi_ok ||
	    given_type != napi_int32_array || results_type != napi_int32_array || given_length != 3 || results_length != 5)
		return number_of(env, -EINVAL);
	return number_of(env, start(path, given, results));
}

/* sendOrders(fd, bytes): all of them, in order; -EPIPE when the launcher has gone. */
static napi_value send_orders(napi_env env, napi_callback_info info)
{
	napi_value args[2];
	size_t count = 2, size = 0;
	int32_t fd = -1;
	char *bytes;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 2 || napi_get_value_int32(env, args[0], &fd) != napi_ok ||
	    napi_get_buffer_info(env, args[1], (void **)&bytes, &size) != napi_ok)
		return number_of(env, -EINVAL);
	for (size_t done = 0; done < size;) {
		const ssize_t sent = send(fd, bytes + done, size - done, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return number_of(env, -errno);
		done += (size_t)sent;
	}
	return number_of(env, 0);
}

/* reap(pid): the pid when it has ended, 0 while it runs. Node reaps only what it started itself. */
static napi_value reap_launcher(napi_env env, napi_callback_info info)
{
	napi_value args[1];
	size_t count = 1;
	int32_t pid = -1;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 1 || napi_get_value_int32(env, args[0], &pid) != napi_ok || pid <= 0)
		return number_of(env, -EINVAL);
	const pid_t reaped = waitpid(pid, NULL, WNOHANG);
	return number_of(env, reaped < 0 ? -errno : reaped);
}

static napi_value read_abi(napi_env env, napi_callback_info info)
{
	(void)info;
	return number_of(env, landlock_abi());
}

void register_lock_down(napi_env env, napi_value exports);
void register_look(napi_env env, napi_value exports);
void register_programs(napi_env env, napi_value exports);

void register_kernel(napi_env env, napi_value exports)
{
	register_lock_down(env, exports);
	register_look(env, exports);
	register_programs(env, exports);
	export_function(env, exports, "startLauncher", start_launcher);
	export_function(env, exports, "sendOrders", send_orders);
	export_function(env, exports, "reapLauncher", reap_launcher);
	export_function(env, exports, "landlockAbi", read_abi);
}

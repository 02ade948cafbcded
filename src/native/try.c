/* Makes the system calls it is told to make and prints what each returned: what `tappass selftest` and `tappass doctor`
 * ask the kernel with, once outside and once inside a sandbox. It holds no rights of its own and decides nothing.
 *
 *   tappass-try NR ARG... / NR ARG...      one line per call: the result, or -errno
 *
 * An argument is a number (0x…, negative), `@` (a pointer that cannot be read), `=text` (a pointer to that text),
 * `#hex` (a pointer to those bytes), `$n` (the result of call n), `&size` (a pointer to that many zero bytes).
 * NR may be `int80:NR`, the 32-bit entry of x86. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_CALLS = 64, MOST_ARGUMENTS = 6 };

static long results[MOST_CALLS];
static int calls;

static void *bytes_of(const char *hex)
{
	const size_t length = strlen(hex) / 2;
	unsigned char *bytes = calloc(1, length + 1);
	for (size_t i = 0; bytes && i < length; i++) {
		const char pair[3] = { hex[i * 2], hex[i * 2 + 1], 0 };
		bytes[i] = (unsigned char)strtoul(pair, NULL, 16);
	}
	return bytes;
}

static long argument(char *text)
{
	switch (text[0]) {
	case '@':
		return 1;
	case '=':
		return (long)(text + 1);
	case '#':
		return (long)bytes_of(text + 1);
	case '&':
		return (long)calloc(1, strtoul(text + 1, NULL, 0));
	case '$': {
		const unsigned long index = strtoul(text + 1, NULL, 10);
		return index < (unsigned long)calls ? results[index] : -1;
	}
	default:
		return text[0] == '-' ? strtol(text, NULL, 0) : (long)strtoul(text, NULL, 0);
	}
}

static long compat_call(long number, const long *a)
{
#ifdef __x86_64__
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a[0]), "c"(a[1]), "d"(a[2]) : "memory", "r8", "r9", "r10", "r11");
	return result;
#else
	(void)number;
	(void)a;
	return -ENOSYS;
#endif
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc <= 1)
		puts("started");
	for (int at = 1; at < argc && calls < MOST_CALLS; at++) {
		const char *name = argv[at];
		long a[MOST_ARGUMENTS] = { 0 };
		for (int count = 0; at + 1 < argc && strcmp(argv[at + 1], "/") != 0; at++)
			if (count < MOST_ARGUMENTS)
				a[count++] = argument(argv[at + 1]);
		at++;
		long result;
		if (strncmp(name, "int80:", 6) == 0) {
			result = compat_call(strtol(name + 6, NULL, 0), a);
		} else {
			result = syscall(strtol(name, NULL, 0), a[0], a[1], a[2], a[3], a[4], a[5]);
			if (result < 0)
				result = -errno;
		}
		results[calls++] = result;
		printf("%ld\n", result);
	}
	return 0;
}

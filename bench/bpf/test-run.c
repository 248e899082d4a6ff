/*
 * What one run of a program costs, by BPF_PROG_TEST_RUN: each run gets the packet as it was, which bpftool's repeat does not give.
 *
 *   test-run PIN PACKET CONTEXT RUNS [ports AT] [sources AT FIRST COUNT] [repeat TIMES]
 *
 * PIN: where the program is pinned. PACKET, CONTEXT: files; the context is a struct __sk_buff. RUNS: how many are measured, behind a
 * tenth as many that are not. `ports`: each run has another 16-bit number at this offset; `sources`: an address drawn from those
 * that begin at FIRST (a 32-bit number); `repeat`: each run is so many, of which the mean counts, for programs that leave the packet as
 * it is: the timer's own time is hardly in it. Prints one line of JSON: nanoseconds (`middle`: the mean of all but the shortest and the
 * longest tenth, since the clock has steps of its own) and the program's answer.
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int opened(const char *pin) {
  union bpf_attr attr = {};
  attr.pathname = (uintptr_t)pin;
  int fd = syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof attr);
  if (fd < 0) err(1, "%s", pin);
  return fd;
}

static size_t read_file(const char *name, void *to, size_t size) {
  int fd = open(name, O_RDONLY);
  ssize_t length = fd < 0 ? -1 : read(fd, to, size);
  if (length < 0) err(1, "%s", name);
  close(fd);
  return length;
}

static uint32_t drawn(void) {
  static uint32_t state = 0x2545f491;
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}

static int by_size(const void *one, const void *other) {
  uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
  return a < b ? -1 : a > b;
}

int main(int count, char **words) {
  static uint8_t packet[2048], context[sizeof(struct __sk_buff)];
  long runs = count > 4 ? atol(words[4]) : 0, ports_at = 0, sources_at = 0, first = 0, sources = 0, repeat = 1;
  if (runs < 1) errx(2, "usage: see the source");
  for (int i = 5; i < count; i++) {
    if (!strcmp(words[i], "ports") && i + 1 < count) ports_at = atol(words[++i]);
    else if (!strcmp(words[i], "sources") && i + 3 < count) {
      sources_at = atol(words[++i]);
      first = atol(words[++i]);
      sources = atol(words[++i]);
    } else if (!strcmp(words[i], "repeat") && i + 1 < count) repeat = atol(words[++i]);
    else errx(2, "no such word: %s", words[i]);
  }
  int program = opened(words[1]);
  size_t length = read_file(words[2], packet, sizeof packet);
  size_t context_length = read_file(words[3], context, sizeof context);
  uint32_t *times = calloc(runs, sizeof *times), answer = 0;
  if (!times) err(1, "calloc");
  for (long i = -runs / 10; i < runs; i++) {
    if (ports_at) *(uint16_t *)(packet + ports_at) = htons(1024 + (uint32_t)(i + runs) % 64000);
    if (sources_at) *(uint32_t *)(packet + sources_at) = htonl(first + drawn() % sources);
    union bpf_attr attr = {};
    attr.test.prog_fd = program;
    attr.test.data_in = (uintptr_t)packet;
    attr.test.data_size_in = length;
    attr.test.ctx_in = (uintptr_t)context;
    attr.test.ctx_size_in = context_length;
    attr.test.repeat = repeat;
    if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof attr)) err(1, "BPF_PROG_TEST_RUN");
    if (i > 0 && attr.test.retval != answer) errx(1, "answers differ: %u, then %u", answer, attr.test.retval);
    answer = attr.test.retval;
    if (i >= 0) times[i] = attr.test.duration;
  }
  qsort(times, runs, sizeof *times, by_size);
  double sum = 0;
  for (long i = runs / 10; i < runs - runs / 10; i++) sum += times[i];
  printf("{\"middle\":%.2f,\"p10\":%u,\"p90\":%u,\"answer\":%u}\n", sum / (runs - 2 * (runs / 10)), times[runs / 10],
         times[runs * 9 / 10], answer);
  return 0;
}

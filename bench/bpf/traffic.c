/*
 * Small packets and short connections, faster than an interpreter sends them.
 *
 *   traffic serve PORT                                UDP: reads and forgets. TCP: sends back what it gets
 *   traffic send ADDRESS PORT SECONDS RATE            datagrams of 64 bytes; RATE a second, 0 = as fast as it goes
 *   traffic connect ADDRESS PORT COUNT                connections one after the other, each ended by a reset
 *   traffic ask ADDRESS PORT COUNT                    requests of 64 bytes on one connection
 *
 * Each but `serve` prints one line of JSON; times in microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define SIZE 64
#define BURSTS 1000 /* a second, where a rate is given */

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void sleep_until(int64_t nanoseconds) {
  struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) {
  }
}

static struct sockaddr_in end_of(const char *address, const char *port) {
  struct sockaddr_in end = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  if (!inet_aton(address, &end.sin_addr)) errx(1, "not an address: %s", address);
  return end;
}

static int opened(int type) {
  int fd = socket(AF_INET, type, 0);
  if (fd < 0) err(1, "socket");
  return fd;
}

static int bound(int type, const char *port) {
  int fd = opened(type), one = 1;
  struct sockaddr_in end = end_of("0.0.0.0", port);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&end, sizeof end)) err(1, "bind");
  return fd;
}

/* Fails after five seconds rather than never. */
static int connected(const struct sockaddr_in *end) {
  int fd = opened(SOCK_STREAM), one = 1;
  struct timeval limit = {5, 0};
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(fd, (const struct sockaddr *)end, sizeof *end)) err(1, "connect");
  return fd;
}

static void forget(const char *port) {
  static char bytes[32][2048];
  struct mmsghdr messages[32] = {};
  struct iovec parts[32];
  int fd = bound(SOCK_DGRAM, port);
  for (int i = 0; i < 32; i++) {
    parts[i] = (struct iovec){bytes[i], sizeof bytes[i]};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
  }
  for (;;) recvmmsg(fd, messages, 32, MSG_WAITFORONE, NULL);
}

static void echo(const char *port) {
  int listener = bound(SOCK_STREAM, port), events = epoll_create1(0), one = 1;
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, found[64];
  char bytes[4096];
  if (listen(listener, 1024)) err(1, "listen");
  epoll_ctl(events, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int count = epoll_wait(events, found, 64, -1);
    for (int i = 0; i < count; i++) {
      int fd = found[i].data.fd;
      if (fd == listener) {
        if ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) < 0) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        event.data.fd = fd;
        epoll_ctl(events, EPOLL_CTL_ADD, fd, &event);
        continue;
      }
      ssize_t length = read(fd, bytes, sizeof bytes);
      if (length > 0 ? write(fd, bytes, length) < 0 : !(length < 0 && errno == EAGAIN)) close(fd);
    }
  }
}

static void serve(const char *port) {
  signal(SIGPIPE, SIG_IGN);
  pid_t parent = getpid(), child = fork();
  if (child < 0) err(1, "fork");
  if (child) echo(port);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() == parent) forget(port);
}

static void send_datagrams(const struct sockaddr_in *end, double seconds, long rate) {
  static char bytes[SIZE];
  int fd = opened(SOCK_DGRAM);
  long sent = 0, failed = 0, burst = rate ? rate / BURSTS : 64;
  if (connect(fd, (const struct sockaddr *)end, sizeof *end)) err(1, "connect");
  int64_t began = now(), until = began + (int64_t)(seconds * 1e9);
  for (long bursts = 1; now() < until; bursts++) {
    for (long i = 0; i < burst; i++) send(fd, bytes, SIZE, 0) == SIZE ? sent++ : failed++;
    if (rate) sleep_until(began + bursts * (1000000000 / BURSTS));
  }
  printf("{\"sent\":%ld,\"failed\":%ld,\"seconds\":%.6f}\n", sent, failed, (now() - began) / 1e9);
}

static int by_size(const void *one, const void *other) {
  int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
  return a < b ? -1 : a > b;
}

static void print_times(int64_t *times, long count) {
  int64_t sum = 0;
  for (long i = 0; i < count; i++) sum += times[i];
  qsort(times, count, sizeof *times, by_size);
  printf("{\"count\":%ld,\"perSecond\":%.1f,\"p50\":%.3f,\"p99\":%.3f}\n", count, count * 1e9 / sum, times[count / 2] / 1e3,
         times[count * 99 / 100] / 1e3);
}

/* Ended by a reset: thousands of ports in TIME_WAIT would measure the port search. */
static void connect_once(const struct sockaddr_in *end) {
  struct linger at_once = {1, 0};
  int fd = connected(end);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

static void ask(int fd) {
  static char bytes[SIZE];
  if (write(fd, bytes, SIZE) != SIZE) err(1, "write");
  if (recv(fd, bytes, SIZE, MSG_WAITALL) != SIZE) err(1, "recv");
}

static void measure(const struct sockaddr_in *end, long count, int is_connecting) {
  int64_t *times = calloc(count, sizeof *times);
  int fd = is_connecting ? -1 : connected(end);
  if (!times) err(1, "calloc");
  if (!is_connecting) ask(fd);
  for (long i = 0; i < count; i++) {
    int64_t began = now();
    if (is_connecting) connect_once(end);
    else ask(fd);
    times[i] = now() - began;
  }
  print_times(times, count);
}

int main(int count, char **words) {
  const char *verb = count > 1 ? words[1] : "";
  if (count == 3 && !strcmp(verb, "serve")) serve(words[2]);
  if (count < 5) errx(2, "usage: see the source");
  struct sockaddr_in end = end_of(words[2], words[3]);
  if (!strcmp(verb, "send") && count == 6) send_datagrams(&end, atof(words[4]), atol(words[5]));
  else if (!strcmp(verb, "connect") || !strcmp(verb, "ask")) measure(&end, atol(words[4]), !strcmp(verb, "connect"));
  else errx(2, "no such verb: %s", verb);
  return 0;
}

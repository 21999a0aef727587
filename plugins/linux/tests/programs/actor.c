/* Does what tests and benchmarks want to see in the tables.

   actor exit CODE              end with that code
   actor kill SIGNAL            end by that signal
   actor sleep MILLISECONDS [ARGUMENT ...]
   actor threads N              start N threads one after the other, end with 0
   actor leader                 the first thread ends, then another ends all with 3
   actor execthread             another thread than the first executes `actor one`
   actor as UID GID             take these IDs, then execute `actor one`
   actor reuse N                N processes of one process ID end with 1 to N; prints the ID
   actor daemon                 listen, let a child accept; prints port and child, lives 5 s at most
   actor one                    end at once, with 0

   As fast as possible, AT_A_TIME together:
   actor exec N AT_A_TIME       execute N programs that end at once
   actor fork N AT_A_TIME       make N processes that end at once
   actor tcp N AT_A_TIME        N processes that each open and close one connection
*/
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in address;
static char *self;

static void *nothing(void *argument) { return argument; }

static void *end_all(void *argument) {
    usleep(50000);
    syscall(SYS_exit_group, 3);
    return argument;
}

static void *execute(void *argument) {
    execl(self, self, "one", (char *)NULL);
    return argument;
}

static int threads(int count) {
    for (pthread_t thread; count--;) {
        if (pthread_create(&thread, NULL, nothing, NULL)) return 2;
        pthread_join(thread, NULL);
    }
    return 0;
}

static pid_t same_id(pid_t wanted) {
    struct clone_args arguments = {.exit_signal = SIGCHLD};
    arguments.set_tid = (uint64_t)(uintptr_t)&wanted;
    arguments.set_tid_size = 1;
    return syscall(SYS_clone3, &arguments, sizeof arguments);
}

static int reuse(int count) {
    pid_t first = 0;
    for (int number = 1; number <= count; number++) {
        pid_t child = first ? same_id(first) : fork();
        if (child < 0) return 2;
        if (!child) _exit(number);
        if (!first) first = child;
        waitpid(child, NULL, 0);
    }
    printf("%d\n", first);
    return 0;
}

static int listening(void) {
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(server, (struct sockaddr *)&address, size) || listen(server, 4096) ||
        getsockname(server, (struct sockaddr *)&address, &size)) exit(3);
    return server;
}

static void serve(int server, int count) {
    while (count--) {
        int peer = accept(server, NULL, NULL);
        char byte;
        if (peer < 0) exit(4);
        while (read(peer, &byte, 1) > 0) {}
        close(peer);
    }
    exit(0);
}

static int background(void) {
    int server = listening();
    pid_t child = fork();
    if (!child) {
        alarm(5);
        close(1);
        serve(server, 1);
    }
    printf("%d %d\n", ntohs(address.sin_port), child);
    return 0;
}

static void connect_once(void) {
    struct linger reset = {1, 0};
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (struct sockaddr *)&address, sizeof address)) _exit(5);
    /* A reset at the end leaves no TIME_WAIT, so that ports do not run out. */
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(client);
    _exit(0);
}

static int burst(const char *what, int left, int most) {
    int alive = 0, failed = 0, status;
    pid_t server = 0;
    if (!strcmp(what, "tcp")) {
        int socket = listening();
        server = fork();
        if (!server) serve(socket, left);
        close(socket);
    }
    while (left || alive) {
        for (; left && alive < most; left--, alive++) {
            pid_t child = fork();
            if (child < 0) return 2;
            if (child) continue;
            if (!strcmp(what, "exec")) execl(self, "actor", "one", (char *)NULL);
            if (!strcmp(what, "tcp")) connect_once();
            _exit(0);
        }
        if (wait(&status) > 0) alive--, failed += status != 0;
    }
    if (server) waitpid(server, &status, 0);
    return failed != 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "one";
    int number = argc > 2 ? atoi(argv[2]) : 0, other = argc > 3 ? atoi(argv[3]) : 0;
    pthread_t thread;
    self = argv[0];
    if (!strcmp(what, "one")) return 0;
    if (!strcmp(what, "exit")) return number;
    if (!strcmp(what, "kill")) return raise(number);
    if (!strcmp(what, "sleep")) return usleep(number * 1000);
    if (!strcmp(what, "threads")) return threads(number);
    if (!strcmp(what, "reuse")) return reuse(number);
    if (!strcmp(what, "daemon")) return background();
    if (!strcmp(what, "leader") && !pthread_create(&thread, NULL, end_all, NULL)) {
        syscall(SYS_exit, 0);
    }
    if (!strcmp(what, "execthread") && !pthread_create(&thread, NULL, execute, NULL)) {
        pause();
    }
    if (!strcmp(what, "as")) {
        if (setgid(other) || setuid(number)) return 2;
        execute(NULL);
    }
    return other ? burst(what, number, other) : 2;
}

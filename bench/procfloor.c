/* What a program in C needs to read /proc, and processes to read.

   procfloor read TIMES    open, read and close stat and status of each process; prints the
                           microseconds of the processor, each time
   procfloor fork N        make N processes that sleep until standard input ends
*/
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static void read_file(const char *pid, const char *name) {
    char path[300], buffer[4096];
    snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    if (read(file, buffer, sizeof buffer) < 0) perror(path);
    close(file);
}

static void read_all(void) {
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while ((entry = readdir(proc))) {
        if (!isdigit(entry->d_name[0])) continue;
        read_file(entry->d_name, "stat");
        read_file(entry->d_name, "status");
    }
    closedir(proc);
}

static int sleepers(int count) {
    char byte;
    for (int number = 0; number < count; number++) {
        pid_t child = fork();
        if (child < 0) return 2;
        if (!child) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;) pause();
        }
    }
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {}
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    if (!strcmp(argv[1], "fork")) return sleepers(atoi(argv[2]));
    for (int left = atoi(argv[2]); left; left--) {
        struct timespec began, ended;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
        read_all();
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
        printf("%ld\n", (ended.tv_sec - began.tv_sec) * 1000000 + (ended.tv_nsec - began.tv_nsec) / 1000);
    }
    return 0;
}

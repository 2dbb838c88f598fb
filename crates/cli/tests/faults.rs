//! Faults of the system, one call at a time: nothing panics, nothing is lost, and a run that goes on afterwards ends
//! with the bytes of one that met no fault.
//!
//! A small library, compiled here and loaded before the C library, lets the n-th call of one function fail that works
//! on a file of the test's folder. Linux with glibc and a C compiler; elsewhere the tests say that they are skipped.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod common;

use common::{Folder, SMALL};
use std::path::PathBuf;
use std::process::{Command, Output};

/// Counts the calls of `FAULT_CALL` whose file's path holds `FAULT_PATH`, and fails number `FAULT_AT` with the error
/// `FAULT_ERROR`; says so in the file `FAULT_MARK`.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int calls;

static int hit(const char *name, const char *path) {
    const char *call = getenv("FAULT_CALL"), *part = getenv("FAULT_PATH"), *at = getenv("FAULT_AT");
    if (!call || !part || !at || strcmp(call, name) || !path || !strstr(path, part)) return 0;
    if (atomic_fetch_add(&calls, 1) + 1 != atoi(at)) return 0;
    int (*open_file)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int mark = open_file(getenv("FAULT_MARK"), O_CREAT | O_WRONLY, 0600);
    if (mark >= 0) close(mark);
    errno = atoi(getenv("FAULT_ERROR"));
    return 1;
}

static int hit_fd(const char *name, int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return hit(name, path);
}

#define NEXT(name) __typeof__(&name) next = dlsym(RTLD_NEXT, #name)

int open64(const char *path, int flags, ...) {
    va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list);
    if (hit("open", path)) return -1;
    NEXT(open64); return next(path, flags, mode);
}
int open(const char *path, int flags, ...) {
    va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list);
    if (hit("open", path)) return -1;
    NEXT(open); return next(path, flags, mode);
}
ssize_t write(int fd, const void *data, size_t n) { if (hit_fd("write", fd)) return -1; NEXT(write); return next(fd, data, n); }
ssize_t read(int fd, void *data, size_t n) { if (hit_fd("read", fd)) return -1; NEXT(read); return next(fd, data, n); }
int fsync(int fd) { if (hit_fd("fsync", fd)) return -1; NEXT(fsync); return next(fd); }
int rename(const char *a, const char *b) { if (hit("rename", b)) return -1; NEXT(rename); return next(a, b); }
int unlink(const char *a) { if (hit("unlink", a)) return -1; NEXT(unlink); return next(a); }
int mkdir(const char *a, mode_t mode) { if (hit("mkdir", a)) return -1; NEXT(mkdir); return next(a, mode); }
int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *x) {
    if (hit("pthread_create", "thread")) return EAGAIN;
    NEXT(pthread_create); return next(t, a, f, x);
}
"#;

/// The system's numbers of errors.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

struct Faults<'a> {
    folder: &'a Folder,
    shim: PathBuf,
}

impl<'a> Faults<'a> {
    /// Compiles the library; none without a C compiler.
    fn new(folder: &'a Folder) -> Option<Self> {
        let (source, shim) = (folder.write("shim.c", SHIM.as_bytes()), folder.path("shim.so"));
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-w", "-o"]).args([&shim, &source]).arg("-ldl");
        match compiler.status() {
            Ok(status) => assert!(status.success(), "the library compiles"),
            Err(_) => {
                println!("skipped: there is no C compiler");
                return None;
            }
        }
        Some(Self { folder, shim })
    }

    /// Runs a command in which a call fails; tells whether it came to that.
    fn run(&self, arguments: &str, (call, path, at, error): (&str, &str, usize, i32)) -> (Output, bool) {
        let mark = self.folder.path("mark");
        let _ = std::fs::remove_file(&mark);
        let output = Command::new(env!("CARGO_BIN_EXE_spikegrad"))
            .current_dir(self.folder.path(""))
            .args(arguments.split_whitespace())
            .env("LD_PRELOAD", &self.shim)
            .env("FAULT_CALL", call)
            .env("FAULT_PATH", path)
            .env("FAULT_AT", at.to_string())
            .env("FAULT_ERROR", error.to_string())
            .env("FAULT_MARK", &mark)
            .output()
            .unwrap();
        (output, mark.exists())
    }
}

/// Checks how a command ended that met a fault: one line and status 1, or no trouble at all.
#[track_caller]
fn check_end(what: &str, output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{what}: {errors}");
    match output.status.code() {
        Some(0) => {}
        Some(1) => {
            assert!(errors.lines().count() == 1 && errors.starts_with("error: "), "{what}: {errors}");
        }
        other => panic!("{what}: status {other:?}: {errors}"),
    }
}

/// How many calls of each function are tried: every one up to 5, then every ninth; `SPIKEGRAD_FAULTS=all` tries all.
fn numbers() -> impl Iterator<Item = usize> {
    let all = std::env::var("SPIKEGRAD_FAULTS").is_ok_and(|text| text == "all");
    (1..).filter(move |n| all || *n <= 5 || n % 9 == 0)
}

#[test]
fn a_call_that_fails_loses_nothing() {
    let folder = Folder::new();
    let Some(faults) = Faults::new(&folder) else { return };
    let command = format!("train {SMALL} --epochs 2 --checkpoint-every 0.5 --out");
    folder.succeed(&format!("{command} whole"));
    let want = folder.ending("whole");
    let mut tried = 0;
    let calls =
        [("open", ENOSPC), ("write", ENOSPC), ("write", EIO), ("fsync", EIO), ("rename", EIO), ("read", EIO)];
    for (call, error) in calls.into_iter().chain([("mkdir", ENOSPC), ("unlink", EIO)]) {
        for at in numbers() {
            let _ = std::fs::remove_dir_all(folder.path("run"));
            let (output, met) = faults.run(&format!("{command} run"), (call, "/run", at, error));
            let what = format!("{call} {at}, error {error}");
            check_end(&what, &output);
            if !met {
                break;
            }
            tried += 1;
            // What is there goes on, or starts anew in the same folder.
            let has_state = folder.list("run").contains(&"state.safetensors".to_string());
            if !output.status.success() {
                folder.succeed(&if has_state {
                    "train --resume run".into()
                } else {
                    format!("{command} run")
                });
            }
            assert!(folder.ending("run") == want, "{what}: the run ended with other bytes");
            assert!(!folder.list("run").iter().any(|name| name.ends_with(".part")), "{what}: leftovers");
        }
    }
    println!("{tried} faults while training");
    assert!(tried > 25, "{tried} faults");
}

#[test]
fn a_call_that_fails_while_a_run_is_taken_up_loses_nothing() {
    let folder = Folder::new();
    let Some(faults) = Faults::new(&folder) else { return };
    let command = format!("train {SMALL} --epochs 2 --out");
    folder.succeed(&format!("{command} whole"));
    let want = folder.ending("whole");
    folder.succeed(&format!("{command} half --stop-after 1.5"));
    let mut tried = 0;
    for (call, error) in [("open", EIO), ("write", ENOSPC), ("rename", EIO), ("read", EIO)] {
        for at in numbers() {
            let _ = std::fs::remove_dir_all(folder.path("run"));
            std::fs::create_dir(folder.path("run")).unwrap();
            for name in folder.list("half") {
                std::fs::copy(folder.path(&format!("half/{name}")), folder.path(&format!("run/{name}")))
                    .unwrap();
            }
            let (output, met) = faults.run("train --resume run", (call, "/run", at, error));
            let what = format!("{call} {at}, error {error}");
            check_end(&what, &output);
            if !met {
                break;
            }
            tried += 1;
            if !output.status.success() {
                folder.succeed("train --resume run");
            }
            assert!(folder.ending("run") == want, "{what}: the run ended with other bytes");
        }
    }
    println!("{tried} faults while taking up");
    assert!(tried > 12, "{tried} faults");
}

#[test]
fn threads_that_cannot_be_had_are_told() {
    let folder = Folder::new();
    let Some(faults) = Faults::new(&folder) else { return };
    folder.succeed(&format!("train {SMALL} --epochs 1 --out run"));
    for command in [format!("train {SMALL} --epochs 1 --out new"), "eval run".into(), "plan --net mlp".into()]
    {
        for at in 1.. {
            let _ = std::fs::remove_dir_all(folder.path("new"));
            let arguments = format!("{command} --threads 3");
            let (output, met) = faults.run(&arguments, ("pthread_create", "thread", at, 0));
            check_end(&format!("{arguments}, thread {at}"), &output);
            if !met {
                break;
            }
        }
    }
}

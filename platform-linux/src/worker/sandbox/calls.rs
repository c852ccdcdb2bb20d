//! System calls, with seccomp, for all threads of the process at once.
//!
//! What is not allowed fails with `EPERM`, so that a library that asks for a little more than it needs goes on without it.
//! Processors that the filter's compiler does not know (32-bit ARM among them) do without.

/// Allows nothing but what sound needs, and what opening kernel devices needs if that is to be possible; says so.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) use filter::{allow_only, forbid};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn allow_only(_devices: bool) -> Result<String, String> {
    forbid()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn forbid() -> Result<String, String> {
    Err(format!("there is no filter for {}", std::env::consts::ARCH))
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod filter {
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
        TargetArch, apply_filter_all_threads,
    };
    use std::collections::BTreeMap;

    type Rules = BTreeMap<i64, Vec<SeccompRule>>;

    /// What a running worker does: move bytes between descriptors that it has, wait, and manage its own memory.
    const ALWAYS: [i64; 54] = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_recvmsg,
        libc::SYS_sendmsg,
        libc::SYS_recvfrom,
        libc::SYS_sendto,
        libc::SYS_ppoll,
        libc::SYS_epoll_ctl,
        libc::SYS_epoll_pwait,
        libc::SYS_close,
        libc::SYS_lseek,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_futex,
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_gettimeofday,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_mlock,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_restart_syscall,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_sched_yield,
        // A thread that was just started may still be about to take its priority.
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_getscheduler,
        libc::SYS_sched_getaffinity,
        libc::SYS_membarrier,
        libc::SYS_rseq,
        libc::SYS_set_robust_list,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getegid,
        libc::SYS_getrandom,
        libc::SYS_fstat,
        libc::SYS_fcntl,
        libc::SYS_dup,
        libc::SYS_uname,
        libc::SYS_eventfd2,
        libc::SYS_getrlimit,
        libc::SYS_prlimit64,
    ];

    /// What opening a sound card of the kernel again needs beyond. Which files these reach is landlock's business.
    const DEVICES: [i64; 15] = [
        libc::SYS_openat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_readlinkat,
        libc::SYS_getdents64,
        libc::SYS_getcwd,
        libc::SYS_pread64,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_pipe2,
        libc::SYS_inotify_init1,
        libc::SYS_inotify_add_watch,
        libc::SYS_inotify_rm_watch,
    ];

    /// Calls that only older processors have beside their successors.
    #[cfg(target_arch = "x86_64")]
    const OLD: ([i64; 3], [i64; 6]) = (
        [libc::SYS_poll, libc::SYS_epoll_wait, libc::SYS_time],
        [libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink, libc::SYS_pipe],
    );
    #[cfg(target_arch = "aarch64")]
    const OLD: ([i64; 0], [i64; 0]) = ([], []);

    /// What no library that makes sound has any business with.
    const FORBIDDEN: [i64; 33] = [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_userfaultfd,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_open_by_handle_at,
        libc::SYS_name_to_handle_at,
        libc::SYS_io_uring_setup,
        libc::SYS_acct,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
    ];

    /// Flag of `clone` that makes a thread and not a process.
    const THREAD: u64 = libc::CLONE_THREAD as u64;
    const EXEC: u64 = libc::PROT_EXEC as u64;

    fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, String> {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).map_err(|error| error.to_string())
    }

    /// A call with this argument.
    fn with(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, String> {
        SeccompRule::new(vec![condition(argument, operator, value)?]).map_err(|error| error.to_string())
    }

    pub(in super::super) fn allow_only(devices: bool) -> Result<String, String> {
        let (old, old_devices) = OLD;
        let mut rules: Rules = ALWAYS.into_iter().chain(old).map(|call| (call, Vec::new())).collect();
        let own = u64::from(std::process::id());
        rules.insert(libc::SYS_tgkill, vec![with(0, SeccompCmpOp::Eq, own)?]);
        let name = u64::from(libc::PR_SET_NAME.unsigned_abs());
        rules.insert(libc::SYS_prctl, vec![with(0, SeccompCmpOp::Eq, name)?]);
        let mut ioctls = vec![with(1, SeccompCmpOp::Eq, u64::from(libc::TCGETS as u32))?];
        if devices {
            rules.extend(DEVICES.into_iter().chain(old_devices).map(|call| (call, Vec::new())));
            // Of PCM devices and of controls: their requests have these letters.
            for letter in [b'A', b'U'] {
                ioctls.push(with(1, SeccompCmpOp::MaskedEq(0xff00), u64::from(letter) << 8)?);
            }
            // Somebody to look after better devices is a thread.
            rules.insert(libc::SYS_clone, vec![with(0, SeccompCmpOp::MaskedEq(THREAD), THREAD)?]);
            rules.insert(libc::SYS_clone3, Vec::new());
        } else {
            for call in [libc::SYS_mmap, libc::SYS_mprotect] {
                rules.insert(call, vec![with(2, SeccompCmpOp::MaskedEq(EXEC), 0)?]);
            }
        }
        rules.insert(libc::SYS_ioctl, ioctls);
        if devices {
            no_clone3()?;
        }
        apply(rules, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)?;
        let what = if devices { "sound, and opening its devices" } else { "sound, and nothing else" };
        Ok(what.to_owned())
    }

    pub(in super::super) fn forbid() -> Result<String, String> {
        let mut rules: Rules = FORBIDDEN.into_iter().map(|call| (call, Vec::new())).collect();
        #[cfg(target_arch = "x86_64")]
        rules.extend([libc::SYS_fork, libc::SYS_vfork].map(|call| (call, Vec::new())));
        rules.insert(libc::SYS_clone, vec![with(0, SeccompCmpOp::MaskedEq(THREAD), 0)?]);
        let unix = libc::AF_UNIX as u64;
        rules.insert(libc::SYS_socket, vec![with(0, SeccompCmpOp::Ne, unix)?]);
        for call in [libc::SYS_kill, libc::SYS_tkill] {
            rules.insert(call, vec![with(1, SeccompCmpOp::Ne, 0)?]);
        }
        let own = u64::from(std::process::id());
        rules.insert(libc::SYS_tgkill, vec![with(0, SeccompCmpOp::Ne, own)?]);
        no_clone3()?;
        apply(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))?;
        Ok("all but programs, processes and networks".to_owned())
    }

    /// What `clone3` is asked for lies in memory, where a filter cannot look: there is no such call, so `clone` is used.
    /// To be put in place first: the filter that follows lets nobody add another one.
    fn no_clone3() -> Result<(), String> {
        let rules = [(libc::SYS_clone3, Vec::new())].into_iter().collect();
        apply(rules, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))
    }

    fn apply(rules: Rules, others: SeccompAction, these: SeccompAction) -> Result<(), String> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
        let filter = SeccompFilter::new(rules, others, these, arch).map_err(|error| error.to_string())?;
        let program: BpfProgram = filter.try_into().map_err(|error: seccompiler::BackendError| error.to_string())?;
        apply_filter_all_threads(&program).map_err(|error| error.to_string())
    }
}

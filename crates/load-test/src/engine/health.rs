//! What the process itself has and uses.

use std::time::Duration;

/// Descriptors that are in use beside connections: streams, timers, signals, files of reports.
const SPARE_DESCRIPTORS: u64 = 24;

/// CPU time of the whole process since its start.
#[cfg(unix)]
#[must_use]
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// CPU time is not known here.
#[cfg(not(unix))]
#[must_use]
pub fn cpu_time() -> Duration {
    Duration::ZERO
}

/// Makes room for so many connections, where the system allows it.
///
/// # Errors
/// The limit of open descriptors is too low; it is returned.
#[cfg(unix)]
pub fn make_room(connections: u64) -> Result<Option<u64>, u64> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let wanted = connections.saturating_add(SPARE_DESCRIPTORS);
    let mut limit = getrlimit(Resource::Nofile);
    let enough = |current: Option<u64>| current.is_none_or(|current| current >= wanted);
    if !enough(limit.current) {
        limit.current = limit
            .maximum
            .map(|most| most.min(wanted.max(1024)))
            .or(Some(wanted));
        // What is refused shows in the limit that is read back.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let now = getrlimit(Resource::Nofile).current;
    match now {
        Some(now) if now < wanted => Err(now),
        now => Ok(now),
    }
}

/// Descriptor limits are not known here.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn make_room(_connections: u64) -> Result<Option<u64>, u64> {
    Ok(None)
}

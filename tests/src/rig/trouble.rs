//! An ALSA device that does as it is told, also in the middle of a stream: a plugin of the ALSA library, in C
//! (`trouble.c`), built with `cc` when it is first needed. Promises that programs under test meet it as they would any
//! device, through the library; that its clock is the machine's; and that a sample that is captured has the same number
//! whoever reads it, so that nothing can be lost unnoticed.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;
use std::sync::OnceLock;

use tempfile::TempDir;

const SOURCE: &str = include_str!("trouble.c");
const SYSTEM: &str = "/usr/share/alsa/alsa.conf";
const LIST: usize = 16;

/// `SND_PCM_FORMAT_…` of the formats that it can have.
pub const FORMATS: [(&str, u32); 5] = [("S16", 2), ("S24", 6), ("S24_3", 32), ("S32", 10), ("FLOAT", 14)];

/// What it is like, and what is wrong with it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Wishes {
    /// Formats, as ALSA numbers them, and -1 behind them.
    pub formats: [u32; LIST],
    /// Rates, and 0 behind them.
    pub rates: [u32; LIST],
    /// Least and most channels.
    pub channels: [u32; 2],
    /// Shortest and longest period, in frames of the widest format.
    pub period: [u32; 2],
    /// The longest buffer, likewise.
    pub buffer_max: u32,
    /// Positions of the channels as ALSA numbers them; zeros if it does not say.
    pub chmap: [u32; 8],
    /// Captured values are sample numbers, not a sine of 100 Hz times the channel's number (from 1) at 8000.
    pub counting: u32,
    /// Opening it fails with this.
    pub open_errno: u32,
    /// Reading and writing fail with this.
    pub io_errno: u32,
    /// It is not there.
    pub gone: u32,
    /// Its clock stands still; 2 if it wakes who waits for it all the same.
    pub stopped: u32,
    /// It is suspended: 1 if it cannot resume, 2 if it can.
    pub suspended: u32,
    /// So many xruns, one after the other.
    pub xruns: u32,
    /// At most so many frames are moved at once; 0 for as many as there are.
    pub short_reads: u32,
    /// How fast its clock is.
    pub ppm: i32,
    /// It has a control of its pace: 1 for the pitch of a gadget, 2 for the rate shift of a loopback.
    pub pace: u32,
    /// Somebody listens at its other end.
    pub listening: u32,
    /// Reading and writing do not return.
    pub hang: u32,
    /// Its mixer has `Mic` for capture and `Speaker` for playback, from −30 to 20 dB.
    pub mixer: u32,
}

/// What it has seen.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Seen {
    /// Attempts to open it.
    pub opens: u32,
    /// Times that it was closed.
    pub closes: u32,
    /// Times that it was prepared.
    pub prepares: u32,
    /// Times that it was started.
    pub starts: u32,
    /// Attempts to resume it.
    pub resumes: u32,
    /// Reads and writes.
    pub transfers: u32,
    /// The rate that was agreed on.
    pub rate: u32,
    /// Silent frames that were played since it was prepared, before the first other one.
    pub silent: u32,
    /// Frames read or written.
    pub moved: u64,
    /// The longest time from an xrun to the next start.
    pub gap_us: u64,
    /// The process that has it open; nobody else can open it.
    pub held: u32,
    /// What the control of its pace was set to.
    pub told: i32,
    /// Sum of the absolute values that were played.
    pub values: u64,
    /// The frame that was played last.
    pub last: [i16; 8],
    /// Volume of capture and playback, 0 to 100.
    pub volume: [i32; 2],
    /// Times that anything of its mixer was set.
    pub volume_sets: u32,
}

#[repr(C)]
struct Control {
    wishes: Wishes,
    seen: Seen,
}

/// A device.
#[derive(Debug)]
pub struct Trouble {
    directory: TempDir,
    control: *mut Control,
}

// SAFETY: the memory is shared with other processes anyway, and is only ever copied as a whole.
unsafe impl Send for Trouble {}
// SAFETY: as above.
unsafe impl Sync for Trouble {}

impl Default for Wishes {
    /// 48 kHz, S16, up to two channels, any period from 32 frames.
    fn default() -> Self {
        let wishes = Self {
            formats: [u32::MAX; LIST],
            rates: [0; LIST],
            channels: [1, 2],
            period: [32, 4096],
            buffer_max: 16_384,
            chmap: [0; 8],
            counting: 0,
            open_errno: 0,
            io_errno: 0,
            gone: 0,
            stopped: 0,
            suspended: 0,
            xruns: 0,
            short_reads: 0,
            ppm: 0,
            pace: 0,
            listening: 0,
            hang: 0,
            mixer: 0,
        };
        wishes.formats(&["S16"]).rates(&[48_000])
    }
}

impl Wishes {
    /// With these formats only.
    ///
    /// # Panics
    ///
    /// For a format that is not in [`FORMATS`].
    pub fn formats(mut self, names: &[&str]) -> Self {
        let number = |name: &&str| FORMATS.iter().find(|(known, _)| known == name).expect("a known format").1;
        self.formats = [u32::MAX; LIST];
        self.formats.iter_mut().zip(names).for_each(|(room, name)| *room = number(name));
        self
    }

    /// With these rates only.
    pub fn rates(mut self, rates: &[u32]) -> Self {
        self.rates = [0; LIST];
        self.rates.iter_mut().zip(rates).for_each(|(room, rate)| *room = *rate);
        self
    }

    /// With so many channels.
    pub fn channels(self, least: u32, most: u32) -> Self {
        Self { channels: [least, most], ..self }
    }
}

impl Trouble {
    /// A device like that. The ALSA library of this process knows it, too.
    ///
    /// # Panics
    ///
    /// When it cannot be built: that needs `cc` and the headers of the ALSA library.
    pub fn new(wishes: Wishes) -> Self {
        installed();
        let directory = TempDir::with_prefix("soundpost-trouble-").expect("a temporary directory");
        let file = File::options().read(true).write(true).create_new(true).open(directory.path().join("control"));
        let file = file.expect("a new file");
        let length = size_of::<Control>();
        file.set_len(length as u64).expect("room on the disk");
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping of a file of that length.
        let control = unsafe { libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        assert_ne!(control, libc::MAP_FAILED, "a mapping");
        let trouble = Self { directory, control: control.cast() };
        trouble.change(|old| *old = wishes);
        trouble
    }

    /// Its name for ALSA.
    pub fn name(&self) -> String {
        format!("trouble:{}", self.directory.path().join("control").display())
    }

    /// Its name for soundpost.
    pub fn uri(&self) -> String {
        format!("alsa:{}", self.name())
    }

    /// What a child process needs in its environment to know it.
    pub fn envs(&self) -> Vec<(String, String)> {
        vec![("ALSA_CONFIG_PATH".into(), installed().display().to_string())]
    }

    /// Tells it what to be like from now on.
    pub fn change(&self, change: impl FnOnce(&mut Wishes)) {
        // SAFETY: `control` is mapped as long as this value lives; whoever else writes it is told not to by nobody, and
        // each field is valid whatever is in it.
        let wishes = unsafe { &raw mut (*self.control).wishes };
        // SAFETY: as above.
        let mut copy = unsafe { wishes.read_volatile() };
        change(&mut copy);
        // SAFETY: as above.
        unsafe { wishes.write_volatile(copy) };
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        // SAFETY: as above.
        unsafe { (&raw const (*self.control).seen).read_volatile() }
    }

    /// Begins to measure gaps anew.
    pub fn forget_gaps(&self) {
        // SAFETY: as above.
        unsafe { (&raw mut (*self.control).seen.gap_us).write_volatile(0) };
    }

    /// How many xruns are still to come.
    pub fn xruns_to_come(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (&raw const (*self.control).wishes).read_volatile() }.xruns
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with that length, and not used afterwards.
        unsafe { libc::munmap(self.control.cast(), size_of::<Control>()) };
    }
}

/// The configuration that names the plugin, which this process uses from now on.
fn installed() -> &'static Path {
    static CONFIGURATION: OnceLock<PathBuf> = OnceLock::new();
    CONFIGURATION.get_or_init(|| {
        let program = std::env::current_exe().expect("a path of this program");
        let folder = program.parent().expect("a folder of this program");
        let library = build(folder);
        let text = format!(
            "<{SYSTEM}>\npcm_type.trouble {{ lib \"{0}\" }}\npcm.trouble {{\n  @args [ CONTROL ]\n  \
             @args.CONTROL {{ type string }}\n  type trouble\n  control $CONTROL\n}}\n\
             ctl_type.trouble {{ lib \"{0}\" }}\nctl.trouble {{\n  @args [ CONTROL ]\n  \
             @args.CONTROL {{ type string }}\n  type trouble\n  control $CONTROL\n}}\n",
            library.display()
        );
        let path = folder.join("trouble.conf");
        replace(&path, |new| fs::write(new, &text).expect("a writable folder"));
        // SAFETY: all other access to the environment in this process goes through std, which locks it, or is the ALSA
        // library's, which nobody has used before the first device was made.
        unsafe { std::env::set_var("ALSA_CONFIG_PATH", &path) };
        path
    })
}

fn build(folder: &Path) -> PathBuf {
    let source = folder.join(format!("trouble-{}.c", std::process::id()));
    fs::write(&source, SOURCE).expect("a writable folder");
    let library = folder.join("libtrouble.so");
    replace(&library, |new| {
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-DPIC", "-o"]).arg(new).arg(&source).args(["-lasound", "-lm"]);
        let built = cc.output().expect("cc (Debian package gcc)");
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "no trouble.c (Debian package libasound2-dev?):\n{said}");
    });
    // Nobody needs it any more.
    let _ = fs::remove_file(source);
    library
}

/// Makes a file anew in one step, for processes that do so at the same time.
fn replace(path: &Path, make: impl FnOnce(&Path)) {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    make(&new);
    fs::rename(&new, path).expect("a file that can be replaced");
}

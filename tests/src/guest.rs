//! An emulated ARM board with a real kernel, and a wire into it. Promises: what is asked of it is shell script, what
//! comes back is its exit status and what it printed; nothing of it survives the [`Guest`].
//!
//! Its time is counted in its own instructions (QEMU's `-icount`): one takes 2 ns, about what a Cortex-A7 at 600 MHz
//! needs, and when it has nothing to do, the time to the next event is passed over. So what is measured with its own
//! clock does not depend on how busy this machine is. With sound going both ways, a second of it takes about as long here.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::proc::Program;
use crate::until_some;

/// It starts within seconds; on a machine with much else to do, within a minute.
const START: Duration = Duration::from_secs(180);
/// No script may take longer.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Sounds that its USB card plays end up here, in the folder that was given.
pub const USB_SOUND: &str = "usb.wav";
/// What its kernel said.
pub const CONSOLE: &str = "console.log";

/// A running board.
pub struct Guest {
    wire: Wire<UnixStream>,
    monitor: Monitor,
    _qemu: Program,
    _sockets: TempDir,
}

impl Guest {
    /// Starts it; its console and the sound of its USB card go into `folder`.
    ///
    /// # Errors
    ///
    /// When QEMU does not start, or the board does not report in time; says what its console said.
    pub fn start(kernel: &Path, image: &Path, folder: &Path) -> io::Result<Self> {
        let found = Command::new("qemu-system-arm").arg("--version").stdout(Stdio::null()).status();
        if found.is_err() {
            return Err(io::Error::other(
                "qemu-system-arm is missing; on Debian and its relatives it is in the package qemu-system-arm",
            ));
        }
        fs::create_dir_all(folder)?;
        // Paths of sockets are short by nature; those of target directories need not be.
        let sockets = tempfile::tempdir()?;
        let (wire, monitor) = (sockets.path().join("wire"), sockets.path().join("monitor"));
        let mut qemu = Command::new("qemu-system-arm");
        // High memory is beyond what this kernel reaches.
        qemu.args(["-M", "virt,highmem=off", "-cpu", "cortex-a7", "-m", "256", "-icount", "shift=1,sleep=off"]);
        qemu.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
        qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(image);
        qemu.args(["-append", "console=ttyAMA0 quiet panic=-1"]);
        qemu.args(["-chardev", &format!("file,id=console,path={}", plain(&folder.join(CONSOLE))?)]);
        qemu.args(["-serial", "chardev:console", "-device", "virtio-serial-device"]);
        qemu.args(["-chardev", &format!("socket,id=wire,path={},server=on,wait=on", plain(&wire)?)]);
        qemu.args(["-device", "virtserialport,chardev=wire,name=wire"]);
        qemu.args(["-qmp", &format!("unix:{},server=on,wait=off", plain(&monitor)?)]);
        qemu.args(["-device", "qemu-xhci,id=usb"]);
        let sound = plain(&folder.join(USB_SOUND))?;
        qemu.args(["-audiodev", &format!("wav,id=speaker,path={sound},out.frequency=48000")]);
        qemu.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = Program::start(qemu);
        let connect = |path: PathBuf| {
            let stream = until_some(START, || UnixStream::connect(&path).ok());
            stream.ok_or_else(|| io::Error::other(format!("QEMU does not listen; it said:\n{}", program.output())))
        };
        let stream = connect(wire)?;
        let mut monitor = Monitor::greet(connect(monitor)?)?;
        stream.set_read_timeout(Some(START))?;
        let mut wire = Wire::new(stream);
        wire.wait_ready().map_err(|error| {
            let said = fs::read_to_string(folder.join(CONSOLE)).unwrap_or_default();
            io::Error::other(format!("the board does not report ({error}); its console said:\n{said}"))
        })?;
        wire.stream.get_ref().set_read_timeout(Some(PATIENCE))?;
        monitor.execute("stop", "{}")?;
        Ok(Self { wire, monitor, _qemu: program, _sockets: sockets })
    }

    /// Runs a shell script there; returns what it printed.
    ///
    /// # Errors
    ///
    /// When it ends with another status than 0; says what it printed.
    pub fn run(&mut self, script: &str) -> io::Result<String> {
        let (status, printed) = self.order(&format!("run {}", script.len()), script.as_bytes())?;
        let printed = String::from_utf8_lossy(&printed).into_owned();
        if status == 0 {
            Ok(printed)
        } else {
            Err(io::Error::other(format!("status {status} of the script\n{script}\nIt printed:\n{printed}")))
        }
    }

    /// Lets its time pass while it does what it is told. Between orders it stands still: else it would run ahead for
    /// as long as this machine is busy judging.
    fn order(&mut self, words: &str, contents: &[u8]) -> io::Result<(i32, Vec<u8>)> {
        self.monitor.execute("cont", "{}")?;
        let answer = self.wire.order(words, contents);
        self.monitor.execute("stop", "{}")?;
        answer
    }

    /// Brings a file there.
    ///
    /// # Errors
    ///
    /// When the wire is cut.
    pub fn put(&mut self, path: &str, contents: &[u8]) -> io::Result<()> {
        self.order(&format!("put {} {path}", contents.len()), contents).map(|_| ())
    }

    /// Brings a file here.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn get(&mut self, path: &str) -> io::Result<Vec<u8>> {
        let script = format!("cat {path}");
        let (status, contents) = self.order(&format!("run {}", script.len()), script.as_bytes())?;
        if status == 0 { Ok(contents) } else { Err(io::Error::other(format!("no file {path} on the board"))) }
    }

    /// Plugs a USB sound card in.
    ///
    /// # Errors
    ///
    /// What QEMU says.
    pub fn plug(&mut self) -> io::Result<()> {
        let card = r#"{"driver":"usb-audio","id":"card","bus":"usb.0","audiodev":"speaker"}"#;
        self.monitor.execute("device_add", card)
    }

    /// Pulls it out; when this returns, it is gone and its sound is in its file.
    ///
    /// # Errors
    ///
    /// What QEMU says.
    pub fn unplug(&mut self) -> io::Result<()> {
        self.monitor.execute("device_del", r#"{"id":"card"}"#)
    }
}

/// A path as a value of an option of QEMU, where a comma would end it.
fn plain(path: &Path) -> io::Result<String> {
    let text = path.to_str().ok_or_else(|| io::Error::other(format!("{} is no text", path.display())))?;
    Ok(text.replace(',', ",,"))
}

/// Orders and answers, as `xtask/src/arm/init.sh` describes them.
struct Wire<S: Read> {
    stream: BufReader<S>,
}

impl<S: Read> Wire<S>
where
    for<'a> &'a S: Write,
{
    fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    fn wait_ready(&mut self) -> io::Result<()> {
        let line = self.line()?;
        if line == "ready" { Ok(()) } else { Err(io::Error::other(format!("it says {line:?}, not \"ready\""))) }
    }

    fn order(&mut self, words: &str, contents: &[u8]) -> io::Result<(i32, Vec<u8>)> {
        let mut to = self.stream.get_ref();
        to.write_all(format!("{words}\n").as_bytes())?;
        to.write_all(contents)?;
        let answer = self.line()?;
        let numbers =
            answer.split_once(' ').and_then(|(status, size)| Some((status.parse().ok()?, size.parse().ok()?)));
        let (status, size): (i32, usize) =
            numbers.ok_or_else(|| io::Error::other(format!("the answer {answer:?} is no status and size")))?;
        let mut printed = vec![0; size];
        self.stream.read_exact(&mut printed)?;
        Ok((status, printed))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the board has gone"));
        }
        Ok(line.trim_end().to_owned())
    }
}

/// QEMU's monitor (the QEMU Machine Protocol).
struct Monitor {
    stream: BufReader<UnixStream>,
}

impl Monitor {
    fn greet(stream: UnixStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(START))?;
        let mut this = Self { stream: BufReader::new(stream) };
        this.message()?;
        this.execute("qmp_capabilities", "{}")?;
        Ok(this)
    }

    fn execute(&mut self, command: &str, arguments: &str) -> io::Result<()> {
        let order = format!("{{\"execute\":\"{command}\",\"arguments\":{arguments}}}\n");
        self.stream.get_ref().write_all(order.as_bytes())?;
        loop {
            // Events come in between.
            let message = self.message()?;
            if let Some(error) = message.get("error") {
                return Err(io::Error::other(format!("QEMU refuses {command}: {}", error["desc"])));
            }
            if message.get("return").is_some() {
                return Ok(());
            }
        }
    }

    fn message(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        serde_json::from_str(&line).map_err(|error| io::Error::other(format!("the monitor says {line:?}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// The far end, with a shell of this machine: what `init.sh` does.
    fn answer(stream: UnixStream) -> io::Result<()> {
        let mut from = BufReader::new(stream.try_clone()?);
        let mut to = stream;
        to.write_all(b"ready\n")?;
        let mut line = String::new();
        while from.read_line(&mut line)? > 0 {
            let size = line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).unwrap_or(0);
            let mut script = vec![0; size];
            from.read_exact(&mut script)?;
            let done = Command::new("sh").arg("-c").arg(String::from_utf8_lossy(&script).as_ref()).output()?;
            to.write_all(format!("{} {}\n", done.status.code().unwrap_or(-1), done.stdout.len()).as_bytes())?;
            to.write_all(&done.stdout)?;
            line.clear();
        }
        Ok(())
    }

    #[test]
    fn an_order_comes_back_with_its_status_and_every_byte() {
        let (here, there) = UnixStream::pair().unwrap();
        let far = thread::spawn(move || answer(there));
        let mut wire = Wire::new(here);
        wire.wait_ready().unwrap();
        let script = "printf 'a\\0b\\n\\nc'; exit 3";
        assert_eq!(
            wire.order(&format!("run {}", script.len()), script.as_bytes()).unwrap(),
            (3, b"a\0b\n\nc".to_vec())
        );
        assert_eq!(wire.order("run 4", b"true").unwrap(), (0, Vec::new()));
        drop(wire);
        far.join().unwrap().unwrap();
    }

    #[test]
    fn a_board_that_goes_is_an_error() {
        let (here, there) = UnixStream::pair().unwrap();
        drop(there);
        assert!(Wire::new(here).wait_ready().is_err());
    }
}

//! The little that is asked of the processor: its tick, as an interrupt and as a stopwatch, and its stack.

use core::cell::Cell;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use critical_section::Mutex;

/// Instructions in one tick. The board ticks at 25 MHz, and the emulator is told that an instruction takes a
/// nanosecond: it counts instructions and knows nothing of pipelines, caches or wait states.
pub(crate) const INSTRUCTIONS_PER_TICK: u32 = 40;

/// The most that the counter of ticks holds: 24 bits.
const TICKS_MAX: u32 = 0x00ff_ffff;

/// What an interrupt does.
type Handler = Option<fn()>;

static ON_TICK: Mutex<Cell<Handler>> = Mutex::new(Cell::new(None));

fn systick() -> SYST {
    // SAFETY: only this module touches the peripheral, and only while nothing else here does.
    unsafe { cortex_m::Peripherals::steal() }.SYST
}

/// Runs `work` while `on_tick` interrupts it, about every `ticks` ticks.
pub(crate) fn while_interrupted(ticks: u32, on_tick: fn(), work: impl FnOnce()) {
    critical_section::with(|token| ON_TICK.borrow(token).set(Some(on_tick)));
    let mut timer = systick();
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(ticks);
    timer.clear_current();
    timer.enable_interrupt();
    timer.enable_counter();
    work();
    timer.disable_counter();
    timer.disable_interrupt();
    critical_section::with(|token| ON_TICK.borrow(token).set(None));
}

#[cortex_m_rt::exception]
fn SysTick() {
    if let Some(on_tick) = critical_section::with(|token| ON_TICK.borrow(token).get()) {
        on_tick();
    }
}

/// How many instructions something takes, on average and at most.
#[derive(Default)]
pub(crate) struct Stopwatch {
    ticks: u64,
    most: u32,
    times: u64,
}

impl Stopwatch {
    /// Does `work` and adds up how long it took.
    pub(crate) fn time<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let mut timer = systick();
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(TICKS_MAX);
        timer.clear_current();
        timer.enable_counter();
        let before = SYST::get_current();
        let result = work();
        // It counts down.
        let ticks = before.wrapping_sub(SYST::get_current()) & TICKS_MAX;
        timer.disable_counter();
        self.ticks += u64::from(ticks);
        self.most = self.most.max(ticks);
        self.times += 1;
        result
    }

    /// Says what was measured.
    pub(crate) fn print(&self, what: &str) {
        let average = (self.ticks * u64::from(INSTRUCTIONS_PER_TICK)).checked_div(self.times).unwrap_or(0);
        let most = self.most * INSTRUCTIONS_PER_TICK;
        defmt::println!("figure {=str}: {=u64} instructions on average, {=u32} at most", what, average, most);
    }
}

/// What the stack is painted with.
const PAINT: u32 = 0x5051_5253;
/// Below the current frame nothing may be painted that this very function still needs.
const MARGIN: usize = 64;

/// Does `work` and returns also how deep the stack got below here, in bytes; [`MARGIN`] stands for anything less.
#[inline(never)]
pub(crate) fn stack_used_by<R>(work: impl FnOnce() -> R) -> (R, u32) {
    let bottom = cortex_m_rt::heap_start();
    let top = cortex_m::register::msp::read() as usize;
    let words = top.saturating_sub(MARGIN + bottom as usize) / size_of::<u32>();
    for n in 0..words {
        // SAFETY: between the end of all variables and the stack there is memory that nobody uses.
        unsafe { bottom.add(n).write_volatile(PAINT) };
    }
    let result = work();
    // SAFETY: as above; the work is done, and what it left there is only looked at.
    let is_painted = |n: &usize| unsafe { bottom.add(*n).read_volatile() } == PAINT;
    let untouched = (0..words).take_while(is_painted).count();
    assert!(untouched > 0, "the stack reached the variables");
    (result, (top - bottom as usize - untouched * size_of::<u32>()) as u32)
}

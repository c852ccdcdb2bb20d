//! Figures of the daemon as a whole: its build, its clients, the board, and HTTP itself.

use super::Kind::{Counter, Gauge};
use super::{Page, count, flag, one_of, unix_time};
use crate::daemon::status::Status;
use crate::http::Shop;

pub(super) fn write(page: &mut Page, shop: &Shop, status: &Status) {
    let version = [(&status.version, Some(1.0))];
    page.each(("build_info", Gauge, "The version that runs."), "version", version);
    page.one("start_time_seconds", Gauge, "When the daemon started, since 1970.", unix_time() - status.uptime_s);
    page.one("realtime", Gauge, "Whether the audio threads run under SCHED_FIFO.", flag(status.realtime));
    page.one("memory_locked", Gauge, "Whether memory is locked.", flag(status.memory_locked));
    clients(page, shop, status);
    let (board, help) = (&status.board, "What lamp, mute switch and amplifier are.");
    page.head("board_state", Gauge, help);
    let parts = [
        ("lamp", &board.lamp, ["lit", "dark", "failed"]),
        ("mute_switch", &board.mute_switch, ["muted", "live", "failed"]),
        ("amp", &board.amp, ["on", "off", "failed"]),
    ];
    for (part, state, words) in parts {
        let states = state.as_ref().map(|state| one_of(&words, state));
        for (word, value) in states.into_iter().flatten() {
            page.sample("board_state", &[("part", part), ("state", word)], value);
        }
    }
    page.one("changes_total", Counter, "Changes that were told to who follows.", count(shop.hub.news.told()));
    let answers = shop.answers.iter().enumerate().skip(2);
    let answers = answers.map(|(figure, answers)| (format!("{figure}xx"), answers.get()));
    page.counts("http_answers_total", "Answers over HTTP.", "status", answers);
    page.one("http_connections", Gauge, "Connections over HTTP.", count(shop.connections.taken() as u64));
    page.one("http_followers", Gauge, "Those of them that follow events.", count(shop.followers.taken() as u64));
}

fn clients(page: &mut Page, shop: &Shop, status: &Status) {
    page.one("clients", Gauge, "Clients on the socket.", count(status.clients_connected as u64));
    let by_role = |role: &str| status.clients.iter().filter(|client| client.role == role).count() as u64;
    let roles = ["listener", "talker", "observer", "controller"].map(|role| (role, Some(count(by_role(role)))));
    page.each(("clients_listed", Gauge, "Clients that the status lists."), "role", roles);
    let drops = count(shop.hub.listener_drops());
    page.one("listener_drops_total", Counter, "Packets that listeners were too slow for.", drops);
    let lossy = status.clients.iter().filter(|client| client.role == "listener");
    let worst = lossy.filter_map(|client| client.loss_percent).fold(0.0, f64::max);
    page.one("listener_loss_worst_ratio", Gauge, "What the listener loses that loses most.", worst / 100.0);
    let refusals = status.refusals;
    let refusals = [
        ("malformed", refusals.malformed),
        ("version", refusals.version),
        ("unexpected", refusals.unexpected),
        ("busy", refusals.busy),
        ("replaced", refusals.replaced),
        ("too_many_clients", refusals.too_many_clients),
        ("unavailable", refusals.unavailable),
        ("forbidden", refusals.forbidden),
        ("too_fast", refusals.too_fast),
    ];
    page.counts("refusals_total", "Clients that were sent away.", "reason", refusals);
}

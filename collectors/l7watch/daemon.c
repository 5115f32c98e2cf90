/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "commands/requests.h"
#include "control/control.h"
#include "input/loop.h"
#include "report/learn.h"
#include "report/status.h"
#include "watch.h"

#define DAEMON_TICK_MS 1000
#define DAEMON_DRAIN_MS 1000
#define DAEMON_ANSWERS_MS 5000 /* for brokers to acknowledge alerts */
#define DAEMON_LISTS_MS 5000   /* files of lists are looked at so often */
#define DAEMON_WARNINGS_MAX 20

/* All of a run. */
struct daemon {
	struct config *config;
	struct loop loop;
	struct watch watch;
	struct control control;
	struct control_handler requests[3];
	struct silence_request silence;
	struct status_source status;
	struct loop_handler signals;
	uint64_t lists_at;    /* monotonic */
	char lists_why[1024]; /* why lists that have changed were not taken; said once */
	bool reload;
	bool replay;
};

static void daemon_signal(struct loop_handler *h, uint32_t events)
{
	struct daemon *d = (struct daemon *)(void *)((char *)h - offsetof(struct daemon, signals));
	struct signalfd_siginfo info;

	(void)events;
	if (read(h->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		d->reload = true;
	else
		d->loop.stop = true;
}

static int daemon_open_signals(struct daemon *d)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->signals =
		(struct loop_handler){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = daemon_signal};
	if (d->signals.fd < 0)
		return -errno;
	return loop_add(&d->loop, &d->signals, EPOLLIN);
}

/* ---- rules ---- */

static void daemon_warn(void *arg, const char *sentence)
{
	unsigned *n = arg;

	if (++*n <= DAEMON_WARNINGS_MAX)
		log_warn("%s", sentence);
	else if (*n == DAEMON_WARNINGS_MAX + 1)
		log_warn("more warnings are left out");
}

int daemon_load_rules(const struct config *c, struct rule_set **rules, char *err, size_t err_size)
{
	struct rules_sources sources = config_rules(c);
	unsigned warnings = 0;

	return rules_load(rules, &sources, (struct rules_warnings){.warn = daemon_warn, .arg = &warnings}, err,
			  err_size);
}

/* A file that is wrong leaves the rules in force. `lists`: nobody has asked, and what is wrong is wrong each time. */
static void daemon_reload(struct daemon *d, bool lists)
{
	struct rule_set *rules;
	char err[sizeof(d->lists_why)];

	if (daemon_load_rules(d->config, &rules, err, sizeof(err))) {
		if (!lists || strcmp(err, d->lists_why) != 0)
			log_error("%s; the rules in force stay", err);
		memcpy(d->lists_why, err, sizeof(err));
		return;
	}
	d->lists_why[0] = '\0';
	if (watch_use_rules(&d->watch, rules)) {
		log_error("no memory for other rules; those in force stay");
		return;
	}
	log_info("rules in force now: %zu%s", rules_count(rules), lists ? ", a file of a list has changed" : "");
}

/* Lists in files change by themselves: an indicator feed, a script. */
static void daemon_look_lists(struct daemon *d, uint64_t now)
{
	if (d->replay || now < d->lists_at)
		return;
	d->lists_at = now + DAEMON_LISTS_MS;
	if (rules_outdated(d->watch.rules))
		daemon_reload(d, true);
}

/* ---- requests of other processes ---- */

static void daemon_silences_changed(void *arg)
{
	struct daemon *d = arg;

	alerts_silences_changed(&d->watch.alerts);
}

static bool daemon_has_rule(void *arg, uint32_t id)
{
	const struct daemon *d = arg;

	return id == 0 || rules_find(d->watch.rules, id);
}

static int daemon_control(struct daemon *d, char *err, size_t err_size)
{
	struct control_config config = {.path = d->config->control, .handlers = d->requests, .n_handlers = 3};

	if (!config.path)
		return 0;
	d->silence = (struct silence_request){
		.store = d->watch.store, .changed = daemon_silences_changed, .has_rule = daemon_has_rule, .arg = d};
	d->status = (struct status_source){.print = status_print, .forget = status_forget, .arg = &d->watch};
	d->requests[0] = (struct control_handler){.word = "silence", .run = silence_request, .arg = &d->silence};
	d->requests[1] = (struct control_handler){.word = "status", .run = status_request, .arg = &d->status};
	d->requests[2] = (struct control_handler){.word = "alert", .run = status_alert, .arg = &d->watch};
	return control_init(&d->control, &d->loop, &config, err, err_size);
}

/* ---- the loop ---- */

/* How long to wait for events: not at all while files or topics have more, or when they were all there is. */
static int daemon_wait(struct daemon *d, uint64_t next)
{
	uint64_t now = clock_mono_ms();
	bool more = input_files_step(&d->watch.input);

	if (input_kafka_step(&d->watch.input) || more || (d->replay && input_done(&d->watch.input)))
		return 0;
	return now < next ? (int)(next - now) : 0;
}

static void daemon_loop(struct daemon *d)
{
	uint64_t next = clock_mono_ms() + DAEMON_TICK_MS, now;

	while (!d->loop.stop) {
		(void)loop_run_once(&d->loop, daemon_wait(d, next));
		d->watch.wall_ms = clock_wall_ms();
		if (d->reload) {
			alert_outputs_reopen(&d->watch.outputs);
			input_reload(&d->watch.input);
			daemon_reload(d, false);
		}
		d->reload = false;
		watch_settle(&d->watch);
		if (d->replay && input_done(&d->watch.input))
			break;
		now = clock_mono_ms();
		if (now < next)
			continue;
		input_tick(&d->watch.input, now);
		control_tick(&d->control, now);
		watch_tick(&d->watch, clock_wall_ms());
		daemon_look_lists(d, now);
		watch_settle(&d->watch);
		alert_outputs_flush(&d->watch.outputs);
		next = now + DAEMON_TICK_MS;
	}
}

/* What the kernel has taken for us is read before we go: to the probes it counts as received. */
static void daemon_drain(struct daemon *d)
{
	uint64_t until = clock_mono_ms() + DAEMON_DRAIN_MS;

	while (!d->replay && loop_run_once(&d->loop, 0) > 0 && clock_mono_ms() < until)
		;
	watch_settle(&d->watch);
	alert_outputs_drain(&d->watch.outputs, DAEMON_ANSWERS_MS);
	watch_settle(&d->watch);
	input_kafka_close(&d->watch.input);
}

/* ---- the end ---- */

static int daemon_learn(struct daemon *d)
{
	struct learn_counts n;
	char err[512];

	watch_flush(&d->watch);
	if (learn_write(d->watch.store, d->config->learn, &n, err, sizeof(err))) {
		log_error("%s", err);
		return DAEMON_FAILED;
	}
	log_info("%s: what %zu hosts spoke, in %zu rules", d->config->learn, n.hosts, n.rules);
	return DAEMON_DONE;
}

/* Nothing comes any more: what was learned and found is told. */
static int daemon_finish(struct daemon *d)
{
	int status = d->config->learn ? daemon_learn(d) : DAEMON_DONE;

	alert_outputs_deinit(&d->watch.outputs);
	if (d->replay)
		summary_print(&d->watch.summary, stderr);
	if (d->config->stats)
		watch_stats(&d->watch, stderr);
	if (d->replay && d->watch.input.counters.bad_files)
		status = DAEMON_FAILED;
	return d->watch.outputs.n_lost ? DAEMON_FAILED : status;
}

/* With rules and outputs at hand: takes records, until it is told to stop. */
static int daemon_listen(struct daemon *d)
{
	struct ipfix_reader_sink sink = {.record = watch_record,
					 .arg = &d->watch,
					 .missed = watch_missed,
					 .about = watch_about,
					 .doubles = &d->watch.doubles.n};
	const struct config *c = d->config;
	char err[512];
	int status;

	if (input_init(&d->watch.input, &d->loop, &c->listen, sink, (uint32_t)c->pen, err, sizeof(err))) {
		log_error("%s", err);
		return DAEMON_FAILED;
	}
	watch_keep(&d->watch);
	if (daemon_control(d, err, sizeof(err))) {
		log_error("%s", err);
		input_deinit(&d->watch.input);
		return DAEMON_FAILED;
	}
	log_info("rules in force: %zu", rules_count(d->watch.rules));
	for (size_t i = 0; i < c->listen.n; i++) {
		const struct conf_list one = {.items = &c->listen.items[i], .n = 1};

		log_info("%s %s",
			 input_is_replay(&one) || strncmp(one.items[0], "kafka:", 6) == 0 ? "reading" : "listening on",
			 one.items[0]);
	}
	daemon_loop(d);
	daemon_drain(d);
	status = daemon_finish(d);
	control_deinit(&d->control);
	input_deinit(&d->watch.input);
	return status;
}

static int daemon_watch(struct daemon *d)
{
	const struct config *c = d->config;
	struct watch_options options = {.replay = d->replay,
					.state = c->state,
					.flush_ms = c->flush_interval * 1000,
					.silent_ms = c->silent_after * 1000,
					.keep_ms = c->keep_hosts * 1000,
					.max_flows = (uint32_t)c->max_flows,
					.max_hosts = c->max_hosts};
	struct rule_set *rules;
	char err[1024];
	int status;

	if (daemon_load_rules(c, &rules, err, sizeof(err))) {
		log_error("%s", err);
		return DAEMON_USAGE;
	}
	/* Not after a week of watching. */
	if (c->learn && learn_check(c->learn, err, sizeof(err))) {
		log_error("%s", err);
		rules_free(rules);
		return *c->learn ? DAEMON_FAILED : DAEMON_USAGE;
	}
	if (alert_outputs_init(&d->watch.outputs, &c->alert, err, sizeof(err))) {
		log_error("%s", err);
		rules_free(rules);
		return DAEMON_FAILED;
	}
	d->watch.outputs.replay = d->replay;
	d->watch.outputs.kept = c->state != NULL;
	if (alert_outputs_attach(&d->watch.outputs, &d->loop)) {
		log_error("no memory");
		rules_free(rules);
		alert_outputs_deinit(&d->watch.outputs);
		return DAEMON_FAILED;
	}
	if (watch_init(&d->watch, rules, &options, err, sizeof(err))) {
		log_error("%s", err);
		alert_outputs_deinit(&d->watch.outputs);
		return DAEMON_FAILED;
	}
	status = daemon_listen(d);
	alert_outputs_deinit(&d->watch.outputs);
	watch_deinit(&d->watch);
	return status;
}

int daemon_run(struct config *c)
{
	struct daemon d = {.config = c, .replay = input_is_replay(&c->listen)};
	int status;

	if (loop_init(&d.loop) || daemon_open_signals(&d)) {
		log_error("cannot wait for events: %s", strerror(errno));
		return DAEMON_FAILED;
	}
	status = daemon_watch(&d);
	close(d.signals.fd);
	loop_deinit(&d.loop);
	return status;
}

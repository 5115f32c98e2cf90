/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stdfd.h"
#include "config.h"
#include "watch.h"

#define MAIN_TICK_MS 1000
#define MAIN_DRAIN_MS 1000
#define MAIN_WARNINGS_MAX 20

enum { MAIN_DONE = 0, MAIN_USAGE = 1, MAIN_FAILED = 2 };

/* All of a run. */
struct main {
	struct config config;
	struct loop loop;
	struct watch watch;
	struct loop_handler signals;
	bool reload;
};

static struct main *main_of_signals(struct loop_handler *h)
{
	return (struct main *)(void *)((char *)h - offsetof(struct main, signals));
}

static void main_signal(struct loop_handler *h, uint32_t events)
{
	struct main *m = main_of_signals(h);
	struct signalfd_siginfo info;

	(void)events;
	if (read(h->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		m->reload = true;
	else
		m->loop.stop = true;
}

static int main_open_signals(struct main *m)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	m->signals = (struct loop_handler){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = main_signal};
	if (m->signals.fd < 0)
		return -errno;
	return loop_add(&m->loop, &m->signals, EPOLLIN);
}

static void main_warn(void *arg, const char *sentence)
{
	unsigned *n = arg;

	if (++*n <= MAIN_WARNINGS_MAX)
		log_warn("%s", sentence);
	else if (*n == MAIN_WARNINGS_MAX + 1)
		log_warn("more warnings are left out");
}

static int main_load_rules(const struct config *c, struct rule_set **rules, char *err, size_t err_size)
{
	unsigned warnings = 0;

	return rules_load(rules, &(struct rules_sources){.file = c->rules},
			  (struct rules_warnings){.warn = main_warn, .arg = &warnings}, err, err_size);
}

static int main_check(const struct config *c)
{
	struct rule_set *rules;
	char err[1024];

	if (main_load_rules(c, &rules, err, sizeof(err))) {
		log_error("%s", err);
		return MAIN_USAGE;
	}
	printf("%s: no errors, rules: %zu\n", c->rules, rules_count(rules));
	rules_free(rules);
	return MAIN_DONE;
}

/* A file that is wrong leaves the rules in force. */
static void main_reload(struct main *m)
{
	struct rule_set *rules;
	char err[1024];

	alert_outputs_reopen(&m->watch.outputs);
	if (main_load_rules(&m->config, &rules, err, sizeof(err))) {
		log_error("%s; the rules in force stay", err);
		return;
	}
	watch_use_rules(&m->watch, rules);
	log_info("rules in force now: %zu, from %s", rules_count(rules), m->config.rules);
}

static void main_loop(struct main *m)
{
	uint64_t next = clock_mono_ms() + MAIN_TICK_MS;

	while (!m->loop.stop) {
		uint64_t now = clock_mono_ms();
		bool more = input_files_step(&m->watch.input);

		if (input_done(&m->watch.input))
			break;
		(void)loop_run_once(&m->loop, now < next && !more ? (int)(next - now) : 0);
		m->watch.wall_ms = clock_wall_ms();
		if (m->reload)
			main_reload(m);
		m->reload = false;
		alerts_settle(&m->watch.alerts);
		now = clock_mono_ms();
		if (now < next)
			continue;
		input_tick(&m->watch.input, now);
		alerts_tick(&m->watch.alerts, m->watch.wall_ms);
		alerts_settle(&m->watch.alerts);
		alert_outputs_flush(&m->watch.outputs);
		next = now + MAIN_TICK_MS;
	}
}

/* What the kernel has taken for us is read before we go: to the probes it counts as received. */
static void main_drain(struct main *m)
{
	uint64_t until = clock_mono_ms() + MAIN_DRAIN_MS;

	while (loop_run_once(&m->loop, 0) > 0 && clock_mono_ms() < until)
		;
}

/* With rules and outputs at hand: listens, until it is told to stop. */
static int main_listen(struct main *m)
{
	struct ipfix_reader_sink sink = {.record = watch_record, .arg = &m->watch};
	char err[512];
	int rc = input_init(&m->watch.input, &m->loop, &m->config.listen, sink, (uint32_t)m->config.pen, err,
			    sizeof(err));

	if (rc) {
		log_error("%s", err);
		return MAIN_FAILED;
	}
	log_info("rules in force: %zu, from %s", rules_count(m->watch.rules), m->config.rules);
	for (size_t i = 0; i < m->config.listen.n; i++) {
		const struct conf_list one = {.items = &m->config.listen.items[i], .n = 1};

		log_info("%s %s", input_is_replay(&one) ? "reading" : "listening on", one.items[0]);
	}
	main_loop(m);
	main_drain(m);
	alerts_settle(&m->watch.alerts);
	alert_outputs_deinit(&m->watch.outputs);
	if (m->config.stats)
		watch_stats(&m->watch, stderr);
	input_deinit(&m->watch.input);
	return m->watch.outputs.n_lost || m->watch.input.counters.bad_files ? MAIN_FAILED : MAIN_DONE;
}

static int main_watch(struct main *m)
{
	struct rule_set *rules;
	char err[1024];
	int status;

	if (main_load_rules(&m->config, &rules, err, sizeof(err))) {
		log_error("%s", err);
		return MAIN_USAGE;
	}
	if (alert_outputs_init(&m->watch.outputs, &m->config.alert, err, sizeof(err))) {
		log_error("%s", err);
		rules_free(rules);
		return MAIN_FAILED;
	}
	if (watch_init(&m->watch, rules)) {
		log_error("no memory");
		alert_outputs_deinit(&m->watch.outputs);
		return MAIN_FAILED;
	}
	status = main_listen(m);
	alert_outputs_deinit(&m->watch.outputs);
	watch_deinit(&m->watch);
	return status;
}

static int main_run(struct main *m)
{
	struct conf table = config_table(&m->config);
	int status;

	if (m->config.help) {
		conf_help(&table, stdout);
		return MAIN_DONE;
	}
	if (m->config.version) {
		puts("l7watch " L7_VERSION);
		return MAIN_DONE;
	}
	if (m->config.completion) {
		if (conf_completion(&table, m->config.completion, stdout) == 0)
			return MAIN_DONE;
		log_error("option --completion is \"%s\": not bash, zsh or fish", m->config.completion);
		return MAIN_USAGE;
	}
	if (m->config.print_config) {
		conf_print(&table, stdout);
		return MAIN_DONE;
	}
	if (m->config.check)
		return main_check(&m->config);
	if (loop_init(&m->loop) || main_open_signals(m)) {
		log_error("cannot wait for events: %s", strerror(errno));
		return MAIN_FAILED;
	}
	status = main_watch(m);
	close(m->signals.fd);
	loop_deinit(&m->loop);
	return status;
}

int main(int argc, char **argv)
{
	struct main m = {0};
	char err[1024];
	int status, rc;

	stdfd_reserve();
	log_init("l7watch", LOG_LEVEL_INFO);
	if (config_load(&m.config, argc, argv, err, sizeof(err))) {
		log_error("%s", err);
		return MAIN_USAGE;
	}
	if (m.config.verbose)
		log_init("l7watch", LOG_LEVEL_DEBUG);
	status = main_run(&m);
	config_deinit(&m.config);
	rc = stdfd_flush();
	if (rc) {
		log_error("standard output: %s", strerror(-rc));
		status = MAIN_FAILED;
	}
	return status;
}

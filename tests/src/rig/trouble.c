/* An ALSA device that does as it is told: which formats, rates and channels it has, what its clock does, and what goes
 * wrong. What it is told, and what it has seen, is in a file that it shares with the test (struct control, which
 * trouble.rs repeats). Its clock is CLOCK_MONOTONIC; sample number n of what it captures is the same whoever captures
 * it, so what is lost can be counted. */

#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <alsa/control_external.h>
#include <alsa/pcm_external.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define LIST 16
#define CHANNELS 8

struct control {
	/* What it is like. */
	uint32_t formats[LIST], rates[LIST]; /* ended by ~0 and 0 */
	uint32_t channels[2], period[2], buffer_max;
	uint32_t chmap[CHANNELS];
	uint32_t counting; /* captured values are sample numbers, not a sine of 100 Hz times the channel's number */
	/* What is wrong with it. */
	uint32_t open_errno, io_errno, gone, stopped, suspended, xruns, short_reads;
	int32_t ppm;
	uint32_t pace, listening; /* 1: the pitch of a gadget, 2: the rate shift of a loopback */
	uint32_t hang, mixer; /* reading and writing never return; it has volumes */
	/* What it has seen. */
	uint32_t opens, closes, prepares, starts, resumes, transfers;
	uint32_t rate, silent; /* silent frames that were played since it was prepared, before the first other one */
	uint64_t moved, gap_us;
	uint32_t held; /* by this process; it can be opened only once */
	int32_t told; /* what the pace's control was set to */
	uint64_t values; /* sum of the absolute values of all frames' channels, for playback */
	int16_t last[CHANNELS];
	int32_t volume[2]; /* of capture and playback, 0 to 100 */
	uint32_t volume_sets;
};

struct trouble {
	snd_pcm_ioplug_t io;
	volatile struct control *control;
	int timer;
	double ticks, looked; /* its clock, and when that was looked at */
	double origin; /* the device's count when it was started */
	uint64_t dry_us;
	int heard;
	snd_pcm_uframes_t done;
};

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Its clock, in samples; it stands still while it is told to. */
static double count(struct trouble *self)
{
	volatile struct control *c = self->control;
	double pace = 1.0 + c->ppm * 1e-6, now = now_us();
	if (c->pace == 1 && c->told)
		pace *= c->told * 1e-6;
	if (c->pace == 2 && c->told)
		pace *= 100000.0 / c->told;
	if (!self->looked)
		self->ticks = now * 1e-6 * self->io.rate;
	else
		self->ticks += (now - self->looked) * 1e-6 * self->io.rate * pace;
	self->looked = now;
	return self->ticks;
}

static void arm(struct trouble *self, int run)
{
	long ns = 1e9 * self->io.period_size / self->io.rate;
	struct itimerspec every = { .it_interval = { 0, ns }, .it_value = { 0, run ? ns : 0 } };
	timerfd_settime(self->timer, 0, &every, NULL);
}

static int start(snd_pcm_ioplug_t *io)
{
	struct trouble *self = io->private_data;
	self->control->starts++;
	if (self->dry_us) {
		uint64_t gap = now_us() - self->dry_us;
		if (gap > self->control->gap_us)
			self->control->gap_us = gap;
	}
	self->dry_us = 0;
	self->origin = count(self);
	self->done = 0;
	arm(self, 1);
	return 0;
}

static int stop(snd_pcm_ioplug_t *io)
{
	arm(io->private_data, 0);
	return 0;
}

static snd_pcm_sframes_t pointer(snd_pcm_ioplug_t *io)
{
	struct trouble *self = io->private_data;
	volatile struct control *c = self->control;
	if (c->gone) {
		snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
		return self->done;
	}
	if (c->suspended) {
		snd_pcm_ioplug_set_state(io, SND_PCM_STATE_SUSPENDED);
		return self->done;
	}
	if (io->state != SND_PCM_STATE_RUNNING)
		return self->done;
	snd_pcm_uframes_t done = self->done;
	if (!c->stopped)
		done = self->done = count(self) - self->origin;
	else
		self->origin = count(self) - self->done;
	int over = io->stream == SND_PCM_STREAM_CAPTURE ? done > io->appl_ptr + io->buffer_size : done > io->appl_ptr;
	if (c->xruns || over) {
		if (c->xruns)
			c->xruns--;
		uint64_t late = over && io->stream == SND_PCM_STREAM_PLAYBACK ? (done - io->appl_ptr) * 1000000ull / io->rate : 0;
		self->dry_us = now_us() - late;
		return -EPIPE;
	}
	return done;
}

static void put(const snd_pcm_channel_area_t *area, snd_pcm_uframes_t at, snd_pcm_format_t format, int value)
{
	char *p = (char *)area->addr + (area->first + at * area->step) / 8;
	int32_t wide;
	float f;
	switch (format) {
	case SND_PCM_FORMAT_S16_LE: *(int16_t *)p = value; break;
	case SND_PCM_FORMAT_S32_LE: wide = value * 65536; memcpy(p, &wide, 4); break;
	case SND_PCM_FORMAT_S24_LE: wide = (value * 256) & 0xffffff; memcpy(p, &wide, 4); break;
	case SND_PCM_FORMAT_S24_3LE: p[0] = 0; p[1] = value; p[2] = value >> 8; break;
	case SND_PCM_FORMAT_FLOAT_LE: f = value / 32768.0f; memcpy(p, &f, 4); break;
	default: break;
	}
}

static int take(const snd_pcm_channel_area_t *area, snd_pcm_uframes_t at, snd_pcm_format_t format)
{
	const unsigned char *p = (unsigned char *)area->addr + (area->first + at * area->step) / 8;
	int32_t wide;
	float f;
	switch (format) {
	case SND_PCM_FORMAT_S16_LE: return *(int16_t *)p;
	case SND_PCM_FORMAT_S32_LE: memcpy(&wide, p, 4); return wide >> 16;
	case SND_PCM_FORMAT_S24_LE: memcpy(&wide, p, 4); return (int16_t)(wide >> 8);
	case SND_PCM_FORMAT_S24_3LE: return (int16_t)(p[1] | p[2] << 8);
	case SND_PCM_FORMAT_FLOAT_LE: memcpy(&f, p, 4); return lrintf(f * 32768.0f);
	default: return 0;
	}
}

static void capture(struct trouble *self, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t at, uint64_t number)
{
	for (unsigned channel = 0; channel < self->io.channels; channel++) {
		double phase = fmod(number * 100.0 * (channel + 1) / self->io.rate, 1.0);
		int value = self->control->counting ? (int16_t)number : lrint(8000 * sin(2 * M_PI * phase));
		put(&areas[channel], at, self->io.format, value);
	}
}

static void play(struct trouble *self, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t at)
{
	volatile struct control *c = self->control;
	int any = 0;
	for (unsigned channel = 0; channel < self->io.channels; channel++) {
		int value = take(&areas[channel], at, self->io.format);
		c->last[channel] = value;
		c->values += abs(value);
		any |= value;
	}
	self->heard |= any != 0;
	if (!self->heard)
		c->silent++;
}

static snd_pcm_sframes_t transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
				  snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
	struct trouble *self = io->private_data;
	volatile struct control *c = self->control;
	c->transfers++;
	while (c->hang)
		usleep(1000);
	if (c->io_errno)
		return -(int)c->io_errno;
	if (c->short_reads && size > c->short_reads)
		size = c->short_reads;
	for (snd_pcm_uframes_t n = 0; n < size; n++) {
		if (io->stream == SND_PCM_STREAM_CAPTURE)
			capture(self, areas, offset + n, (uint64_t)self->origin + io->appl_ptr + n);
		else
			play(self, areas, offset + n);
	}
	c->moved += size;
	return size;
}

static int prepare(snd_pcm_ioplug_t *io)
{
	struct trouble *self = io->private_data;
	volatile struct control *c = self->control;
	c->prepares++;
	c->silent = 0;
	self->heard = 0;
	self->done = 0;
	arm(self, 0);
	return c->gone ? -ENODEV : 0;
}

static int resume(snd_pcm_ioplug_t *io)
{
	struct trouble *self = io->private_data;
	self->control->resumes++;
	if (self->control->suspended == 1)
		return -ENOSYS;
	self->control->suspended = 0;
	snd_pcm_ioplug_set_state(io, SND_PCM_STATE_RUNNING);
	self->origin = count(self) - self->done;
	return 0;
}

static int hw_params(snd_pcm_ioplug_t *io, snd_pcm_hw_params_t *params)
{
	struct trouble *self = io->private_data;
	(void)params;
	self->control->rate = io->rate;
	return 0;
}

static int poll_revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned count, unsigned short *revents)
{
	struct trouble *self = io->private_data;
	uint64_t ticks;
	(void)count;
	*revents = 0;
	if (!(fds->revents & POLLIN) || read(self->timer, &ticks, sizeof ticks) < 0)
		return 0;
	if (self->control->stopped == 1)
		return 0;
	*revents = io->stream == SND_PCM_STREAM_CAPTURE ? POLLIN : POLLOUT;
	return 0;
}

static int close_it(snd_pcm_ioplug_t *io)
{
	struct trouble *self = io->private_data;
	self->control->closes++;
	self->control->held = 0;
	munmap((void *)self->control, sizeof *self->control);
	close(self->timer);
	free(self);
	return 0;
}

static snd_pcm_chmap_t *get_chmap(snd_pcm_ioplug_t *io)
{
	struct trouble *self = io->private_data;
	if (!self->control->chmap[0])
		return NULL;
	snd_pcm_chmap_t *map = calloc(1, sizeof *map + CHANNELS * sizeof map->pos[0]);
	map->channels = io->channels;
	for (unsigned channel = 0; channel < io->channels && channel < CHANNELS; channel++)
		map->pos[channel] = self->control->chmap[channel];
	return map;
}

static const snd_pcm_ioplug_callback_t CALLBACKS = {
	.start = start, .stop = stop, .pointer = pointer, .transfer = transfer, .close = close_it, .hw_params = hw_params,
	.prepare = prepare, .resume = resume, .poll_revents = poll_revents, .get_chmap = get_chmap,
};

static int constrain(struct trouble *self)
{
	volatile struct control *c = self->control;
	snd_pcm_ioplug_t *io = &self->io;
	unsigned access[] = { SND_PCM_ACCESS_RW_INTERLEAVED }, formats[LIST], rates[LIST], n = 0, m = 0, bytes = 0;
	for (; n < LIST && c->formats[n] != ~0u; n++) {
		formats[n] = c->formats[n];
		unsigned width = snd_pcm_format_physical_width(formats[n]) / 8;
		bytes = width > bytes ? width : bytes;
	}
	for (; m < LIST && c->rates[m]; m++)
		rates[m] = c->rates[m];
	unsigned frame = bytes * c->channels[1];
	int failed = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 1, access);
	failed |= snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, n, formats);
	failed |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, c->channels[0], c->channels[1]);
	failed |= snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_RATE, m, rates);
	failed |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, c->period[0] * frame, c->period[1] * frame);
	failed |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, 2 * c->period[0] * frame, c->buffer_max * frame);
	failed |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, 1024);
	return failed;
}

/* What the configuration names. */
static volatile struct control *shared(snd_config_t *conf)
{
	snd_config_iterator_t i, next;
	const char *path = NULL, *id;
	snd_config_for_each(i, next, conf) {
		snd_config_t *n = snd_config_iterator_entry(i);
		if (snd_config_get_id(n, &id) >= 0 && !strcmp(id, "control"))
			snd_config_get_string(n, &path);
	}
	int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (file < 0)
		return NULL;
	void *control = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	return control == MAP_FAILED ? NULL : control;
}

SND_PCM_PLUGIN_DEFINE_FUNC(trouble)
{
	volatile struct control *control = shared(conf);
	(void)root;
	if (!control)
		return -ENODEV;
	control->opens++;
	int refused = control->gone ? ENODEV : (int)control->open_errno;
	if (!refused && control->held && kill(control->held, 0) == 0)
		refused = EBUSY;
	if (control->gone)
		control->volume[0] = control->volume[1] = 0; /* as after power was off */
	if (refused) {
		munmap((void *)control, sizeof *control);
		return -refused;
	}
	struct trouble *self = calloc(1, sizeof *self);
	control->held = getpid();
	self->control = control;
	self->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	self->io.version = SND_PCM_IOPLUG_VERSION;
	self->io.name = "A device that makes trouble";
	self->io.flags = SND_PCM_IOPLUG_FLAG_BOUNDARY_WA;
	self->io.callback = &CALLBACKS;
	self->io.private_data = self;
	self->io.poll_fd = self->timer;
	self->io.poll_events = POLLIN;
	int failed = snd_pcm_ioplug_create(&self->io, name, stream, mode);
	if (failed < 0) {
		free(self);
		return failed;
	}
	if (constrain(self)) {
		snd_pcm_ioplug_delete(&self->io);
		return -EINVAL;
	}
	*pcmp = self->io.pcm;
	return 0;
}

SND_PCM_PLUGIN_SYMBOL(trouble);

/* Its controls: the pace, whether the other end is open, and two volumes from -30 to 20 dB. */

struct controls {
	snd_ctl_ext_t ext;
	volatile struct control *control;
};

enum { PACE, FAR_END, MICROPHONE, SPEAKER, SPEAKER_SWITCH, KEYS };

static const unsigned SCALE[] = { 1 /* SNDRV_CTL_TLVT_DB_SCALE */, 8, (unsigned)-3000, 50 };

static const char *element(volatile struct control *c, unsigned key)
{
	static const char *const PACES[] = { NULL, "Playback Pitch 1000000", "PCM Rate Shift 100000" };
	static const char *const NAMES[] = { NULL, "Playback Rate", "Mic Capture Volume", "Speaker Playback Volume",
					     "Speaker Playback Switch" };
	return key == PACE ? PACES[c->pace] : NAMES[key];
}

static int has(volatile struct control *c, unsigned key)
{
	return key <= FAR_END ? c->pace != 0 : c->mixer != 0;
}

static int elements(snd_ctl_ext_t *ext)
{
	struct controls *self = ext->private_data;
	int count = 0;
	for (unsigned key = 0; key < KEYS; key++)
		count += has(self->control, key);
	return count;
}

static int list(snd_ctl_ext_t *ext, unsigned n, snd_ctl_elem_id_t *id)
{
	struct controls *self = ext->private_data;
	unsigned key = 0;
	for (; key < KEYS; key++)
		if (has(self->control, key) && n-- == 0)
			break;
	snd_ctl_elem_id_set_interface(id, key <= FAR_END ? SND_CTL_ELEM_IFACE_PCM : SND_CTL_ELEM_IFACE_MIXER);
	snd_ctl_elem_id_set_name(id, element(self->control, key));
	snd_ctl_elem_id_set_device(id, key == PACE && self->control->pace == 2);
	return 0;
}

static snd_ctl_ext_key_t find(snd_ctl_ext_t *ext, const snd_ctl_elem_id_t *id)
{
	struct controls *self = ext->private_data;
	for (unsigned key = 0; key < KEYS; key++)
		if (has(self->control, key) && !strcmp(snd_ctl_elem_id_get_name(id), element(self->control, key)))
			return key;
	return SND_CTL_EXT_KEY_NOT_FOUND;
}

static int attribute(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, int *type, unsigned *access, unsigned *count)
{
	(void)ext;
	*type = key == SPEAKER_SWITCH ? SND_CTL_ELEM_TYPE_BOOLEAN : SND_CTL_ELEM_TYPE_INTEGER;
	*access = key == FAR_END ? SND_CTL_EXT_ACCESS_READ : SND_CTL_EXT_ACCESS_READWRITE;
	if (key == MICROPHONE || key == SPEAKER)
		*access |= SND_CTL_EXT_ACCESS_TLV_READ;
	*count = 1;
	return 0;
}

static int bounds(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *least, long *most, long *step)
{
	(void)ext;
	*least = *step = 0;
	*most = key <= FAR_END ? 2000000 : 100;
	return 0;
}

static int get(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value)
{
	struct controls *self = ext->private_data;
	volatile struct control *c = self->control;
	switch (key) {
	case PACE: *value = c->told; break;
	case FAR_END: *value = c->listening ? 48000 : 0; break;
	case MICROPHONE: *value = c->volume[0]; break;
	case SPEAKER: *value = c->volume[1]; break;
	default: *value = 0; /* switched off */
	}
	return 0;
}

static int set(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value)
{
	struct controls *self = ext->private_data;
	volatile struct control *c = self->control;
	if (key == PACE) {
		c->told = *value;
		return 1;
	}
	c->volume_sets++;
	if (key == MICROPHONE || key == SPEAKER)
		c->volume[key - MICROPHONE] = *value;
	return 1;
}

static void close_controls(snd_ctl_ext_t *ext)
{
	struct controls *self = ext->private_data;
	munmap((void *)self->control, sizeof *self->control);
	free(self);
}

static int no_event(snd_ctl_ext_t *ext, snd_ctl_elem_id_t *id, unsigned *mask)
{
	(void)ext, (void)id, (void)mask;
	return -EAGAIN;
}

static const snd_ctl_ext_callback_t CONTROLS = {
	.close = close_controls, .elem_count = elements, .elem_list = list, .find_elem = find, .get_attribute = attribute,
	.get_integer_info = bounds, .read_integer = get, .write_integer = set, .read_event = no_event,
};

SND_CTL_PLUGIN_DEFINE_FUNC(trouble)
{
	volatile struct control *control = shared(conf);
	(void)root;
	if (!control)
		return -ENODEV;
	struct controls *self = calloc(1, sizeof *self);
	self->control = control;
	self->ext.version = SND_CTL_EXT_VERSION;
	self->ext.poll_fd = -1;
	self->ext.callback = &CONTROLS;
	self->ext.private_data = self;
	self->ext.tlv.p = SCALE;
	strcpy(self->ext.id, "trouble");
	strcpy(self->ext.driver, "trouble");
	strcpy(self->ext.name, "trouble");
	int failed = snd_ctl_ext_create(&self->ext, name, mode);
	if (failed < 0) {
		free(self);
		return failed;
	}
	*handlep = self->ext.handle;
	return 0;
}

SND_CTL_PLUGIN_SYMBOL(trouble);

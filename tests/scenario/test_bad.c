/* test_bad.c - malformed inputs, each a file of tests/data/bad, each with the one line it must
 * give.
 *
 * Also here: what no file should have to hold (a huge file, a folder instead of a file), and every
 * prefix of a good scenario, which must fail or load but never crash. */
#include "scenario/scenario.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
  enum { SCENARIO, PLATFORM, PROFILE, MODEL } kind;
  const char *name, *message;
} cases[] = {
    {SCENARIO, "axis-to-nothing",
     "bad/axis-to-nothing.xml:17: select \"//poisson/@speed\" selects nothing; attributes "
     "written there: rate (write the attribute into the file to make it addressable)"},
    {SCENARIO, "axis-to-no-link",
     "bad/axis-to-no-link.xml:17: select \"//link[@id='lan']/@bandwidth\" selects nothing; it must "
     "lead to an attribute that is written in bad/../small.xml"},
    {SCENARIO, "axis-without-values",
     "bad/axis-without-values.xml:17: <axis> has 0 of values, range, log, sobol; give exactly one"},
    {SCENARIO, "bad-attribute-syntax",
     "bad/bad-attribute-syntax.xml:10: not well-formed XML: AttValue: \" or ' expected; every "
     "element must be closed and every value quoted"},
    {SCENARIO, "billion-laughs",
     "bad/billion-laughs.xml:3: a declaration inside <!DOCTYPE ...>; entities and other "
     "declarations are not allowed, write the values out"},
    {SCENARIO, "blank", "bad/blank.xml: the file is empty; give an XML document"},
    {SCENARIO, "block-size",
     "bad/block-size.xml:10: <workload> block_size \"2000000\": out of range; it must be a whole "
     "number of at least 1 and at most 1048576"},
    {SCENARIO, "budget-below-seqs",
     "bad/budget-below-seqs.xml:6: <engine> \"cloud\": max_num_batched_tokens 128 is below "
     "max_num_seqs 256; it must be at least that"},
    {SCENARIO, "cache-disk-without-rate",
     "bad/cache-disk-without-rate.xml:7: <cache> lacks \"disk_write\"; give a rate such as 10Gbps "
     "(bps, kbps, Mbps, Gbps; Bps, MBps, GBps)"},
    {SCENARIO, "cache-eviction",
     "bad/cache-eviction.xml:7: <cache> eviction \"fifo\" is not allowed; allowed: lru, lfu, gds, "
     "cost"},
    {SCENARIO, "cache-host-without-rate",
     "bad/cache-host-without-rate.xml:7: <cache> lacks \"host_write\"; give a rate such as 10Gbps "
     "(bps, kbps, Mbps, Gbps; Bps, MBps, GBps)"},
    {SCENARIO, "cache-rate-without-host",
     "bad/cache-rate-without-host.xml:7: <cache> has host_read or host_write but no host_memory; "
     "give host_memory, its capacity"},
    {SCENARIO, "cache-rate-without-disk",
     "bad/cache-rate-without-disk.xml:7: <cache> has disk_read or disk_write but no disk; give "
     "disk, its capacity"},
    {SCENARIO, "outage-unknown",
     "bad/outage-unknown.xml:16: <ce-lslm> outage \"pray\" is not allowed; allowed: wait, "
     "recompute, "
     "degrade, neighbour, reject"},
    {SCENARIO, "placement-unknown",
     "bad/placement-unknown.xml:16: <edge-only> placement \"random\" is not allowed; allowed: "
     "nearest, "
     "least-loaded, context-affine, predicted-ttft"},
    {SCENARIO, "class-named-twice",
     "bad/class-named-twice.xml:15: a second class named \"a\"; names must differ"},
    {SCENARIO, "class-negative-deadline",
     "bad/class-negative-deadline.xml:14: <class> deadline \"-1s\": negative; it must be at least "
     "0"},
    {SCENARIO, "class-priority",
     "bad/class-priority.xml:14: <class> priority \"-1\" is not allowed; give a whole number of at "
     "least 0"},
    {SCENARIO, "class-without-share",
     "bad/class-without-share.xml:14: <class> share \"0\": out of range; it must be more than 0 "
     "and at most 1e+09"},
    {SCENARIO, "closed-think",
     "bad/closed-think.xml:11: <closed> think \"5\": no unit; give a time such as 5ms (ns, us, ms, "
     "s, min, h, d)"},
    {SCENARIO, "closed-without-users",
     "bad/closed-without-users.xml:11: <closed> users \"0\" is not allowed; give a whole number of "
     "at least 1"},
    {SCENARIO, "compute-dream",
     "bad/compute-dream.xml:2: <scenario> compute \"dream\" is not allowed; allowed: model, "
     "execute"},
    {SCENARIO, "context-too-long",
     "bad/context-too-long.xml:9: context \"a\" has 5000 tokens, but small on engine \"edge0\" "
     "reads at most 4096; shorten it or choose another model"},
    {SCENARIO, "correctness-both",
     "bad/correctness-both.xml:16: <correctness> has both or neither of correlation and either; "
     "give "
     "exactly one"},
    {SCENARIO, "correctness-missing-model",
     "bad/correctness-missing-model.xml:16: <correctness> says nothing of small, which engine "
     "\"edge0\" serves; add an <of>"},
    {SCENARIO, "correctness-either",
     "bad/correctness-either.xml:16: <correctness> either \"0.95\" is out of range; with these "
     "accuracies it is at least 0.7 (whatever one knows the better one does) and at most 0.85 "
     "(what they know is unrelated)"},
    {SCENARIO, "correctness-accuracy",
     "bad/correctness-accuracy.xml:16: <of> accuracy \"75\": out of range; it must be at least 0 "
     "and at most 1"},
    {SCENARIO, "cost-as-nothing",
     "bad/cost-as-nothing.xml:4: <model> cost_as \"huge\": there is no bad/../models/huge.xml; "
     "name a "
     "model file of that folder, without .xml"},
    {SCENARIO, "default-attribute",
     "bad/default-attribute.xml:2: a declaration inside <!DOCTYPE ...>; entities and other "
     "declarations are not allowed, write the values out"},
    {SCENARIO, "duplicate-context",
     "bad/duplicate-context.xml:9: a second context named \"doc-1\"; names must differ"},
    {SCENARIO, "duplicate-engine",
     "bad/duplicate-engine.xml:7: a second engine named \"cloud\" (the first is in line 6); "
     "names must differ"},
    {SCENARIO, "duplicate-label",
     "bad/duplicate-label.xml:17: a second strategy labelled \"ce-lslm\" (the first is in line "
     "16); give label=\"...\", labels must differ"},
    {SCENARIO, "duplicate-model",
     "bad/duplicate-model.xml:4: a second model named \"big\" (the first is in line 4); give "
     "every model once"},
    {SCENARIO, "empty", "bad/empty.xml: the file is empty; give an XML document"},
    {SCENARIO, "endless",
     "bad/endless.xml:10: the load would never end; give requests=\"...\" here, or "
     "horizon=\"...\" in <scenario>"},
    {SCENARIO, "entity",
     "bad/entity.xml:2: a declaration inside <!DOCTYPE ...>; entities and other declarations are "
     "not allowed, write the values out"},
    {SCENARIO, "error-in-include",
     "bad/included-engines.xml:5: <engine> weights \"f17\" is not allowed; allowed: f32, f16, "
     "bf16, fp8, int8, int4"},
    {SCENARIO, "execute-nothing",
     "bad/execute-nothing.xml:2: compute=\"execute\" without <execution>; give <execution "
     "text=...>, the file that is read"},
    {SCENARIO, "execute-without-checkpoint",
     "bad/execute-without-checkpoint.xml:2: compute=\"execute\" cannot run model big: its file "
     "names "
     "no checkpoint; take platforms/models/tiny-*.xml"},
    {SCENARIO, "external-entity",
     "bad/external-entity.xml:2: a declaration inside <!DOCTYPE ...>; entities and other "
     "declarations are not allowed, write the values out"},
    {SCENARIO, "half-a-token",
     "bad/half-a-token.xml:13: <fixed> tokens \"2.5\" is not allowed; give a whole number of at "
     "least 1"},
    {SCENARIO, "hexadecimal",
     "bad/hexadecimal.xml:11: <poisson> rate \"0x4/s\": not a number; give a rate such as 8/s "
     "(/s, /min, /h)"},
    {SCENARIO, "host-without-profile",
     "bad/host-without-profile.xml:6: <engine> host \"gnb0\" has no device profile, so it cannot "
     "serve a model; hosts with a profile: cloud, edge0, edge1"},
    {SCENARIO, "include-fallback",
     "bad/include-fallback.xml:10: <fallback> inside xi:include is not supported; leave "
     "xi:include empty"},
    {SCENARIO, "include-itself",
     "bad/include-itself.xml:10: xi:include of \"bad/include-itself.xml\": too many includes; at "
     "most 256 files, 8 levels deep"},
    {SCENARIO, "include-text",
     "bad/include-text.xml:10: xi:include with parse is not supported; allowed: href, "
     "parse=\"xml\""},
    {SCENARIO, "infinite",
     "bad/infinite.xml:14: <zipf> s \"inf\": not a number; give a plain number such as 0.5"},
    {SCENARIO, "lengths-and-prompt",
     "bad/lengths-and-prompt.xml:10: <workload> has both <lengths> and <prompt>; give either "
     "lengths, or prompt and output"},
    {SCENARIO, "min-above-max",
     "bad/min-above-max.xml:9: <uniform> min 20 is above max 10; it must not be"},
    {SCENARIO, "missing-include",
     "bad/missing-include.xml:10: cannot include \"bad/radio.xml\": No such file or directory; "
     "give an XML file (all together at most 16 MiB)"},
    {SCENARIO, "missing-platform",
     "bad/missing-platform.xml:3: <platform> file \"bad/../nowhere.xml\" cannot be read: No such "
     "file or directory; give a SimGrid platform file"},
    {SCENARIO, "missing-required",
     "bad/missing-required.xml:6: <engine> lacks the attribute \"host\"; give host=\"...\" (A "
     "host of the platform that has a device profile)"},
    {SCENARIO, "missing-unit",
     "bad/missing-unit.xml:2: <scenario> horizon \"120\": no unit; give a time such as 5ms (ns, "
     "us, ms, s, min, h, d)"},
    {MODEL, "model-heads",
     "bad/model-heads.xml:4: <model> has 8 heads over 3 kv_heads; heads must be a multiple of "
     "kv_heads"},
    {MODEL, "model-missing",
     "bad/model-missing.xml:4: <model> lacks the attribute \"hidden\"; give hidden=\"...\" "
     "(Width of the residual stream)"},
    {MODEL, "model-misspelt",
     "bad/model-misspelt.xml:4: <model> has no attribute \"vocab\"; allowed: name, tokenizer, "
     "layers, hidden, heads, kv_heads, head_dim, ffn, gated, vocabulary, tied_embeddings, "
     "absolute_positions, max_context, parameters, source, checkpoint, note"},
    {MODEL, "model-zero-layers",
     "bad/model-zero-layers.xml:4: <model> layers \"0\" is not allowed; give a whole number of "
     "at least 1"},
    {SCENARIO, "mooncake-and-popularity",
     "bad/mooncake-and-popularity.xml:10: <popularity> with a mooncake trace, whose hash_ids say "
     "what its prompts share; leave <popularity> out"},
    {SCENARIO, "nan",
     "bad/nan.xml:14: <zipf> s \"nan\": not a number; give a plain number such as 0.5"},
    {SCENARIO, "negative",
     "bad/negative.xml:6: <engine> client_overhead \"-8ms\": negative; it must be at least 0"},
    {SCENARIO, "neither-trace-nor-arrivals",
     "bad/neither-trace-nor-arrivals.xml:10: <workload> lacks <arrivals>; give either a trace, "
     "or arrivals, prompt and output"},
    {SCENARIO, "network-include",
     "bad/network-include.xml:10: xi:include of \"http://example.org/radio.xml\"; only local "
     "files can be included"},
    {SCENARIO, "no-cloud-engine",
     "bad/no-cloud-engine.xml:15: <ce-lslm> needs an engine on a host with the role cloud; add "
     "one to <engines>"},
    {SCENARIO, "no-engine-at-the-cell",
     "bad/no-engine-at-the-cell.xml:17: <ce-lslm> needs an engine on host \"edge0\", whose cell "
     "has users; add one to <engines>"},
    {SCENARIO, "no-lengths-file",
     "bad/no-lengths-file.xml:12: <lengths> file \"bad/none.csv\" cannot be read: No such file or "
     "directory; give a CSV file"},
    {SCENARIO, "no-name",
     "bad/no-name.xml:2: <scenario> lacks the attribute \"name\"; give name=\"...\" (Its name, "
     "for titles and result files)"},
    {SCENARIO, "no-room-for-kv",
     "bad/no-room-for-kv.xml:6: <engine> \"cloud\": weights 2.00 GB, context_memory 17.00 GB and "
     "one KV block 0.00 GB exceed the 18.00 GB that memory_share 0.9 of host \"cloud\" is: 1.00 "
     "GB are missing; lower one of them"},
    {SCENARIO, "no-strategy",
     "bad/no-strategy.xml:2: <scenario> is not complete; it needs <workload> or <correctness> or "
     "<strategy>"},
    {SCENARIO, "no-trace-file",
     "bad/no-trace-file.xml:11: <trace> file \"bad/none.csv\" cannot be read: No such file or "
     "directory; give a CSV or JSONL file"},
    {SCENARIO, "not-xml",
     "bad/not-xml.xml:1: not well-formed XML: Start tag expected, '<' not found; every element "
     "must be closed and every value quoted"},
    {SCENARIO, "not-yes-or-no",
     "bad/not-yes-or-no.xml:16: <ce-lslm> pipeline \"maybe\" is not allowed; allowed: yes, no"},
    {SCENARIO, "other-tokenizer",
     "bad/other-tokenizer.xml:16: <ce-lslm> shares contexts between big (tokenizer toy) and "
     "stranger (tokenizer other); their tokenizers must be equal"},
    {SCENARIO, "parameter-entity",
     "bad/parameter-entity.xml:2: a declaration inside <!DOCTYPE ...>; entities and other "
     "declarations are not allowed, write the values out"},
    {PLATFORM, "platform-bare-bandwidth",
     "bad/platform-bare-bandwidth.xml:34: <link> bandwidth \"10\": no unit; give a rate such as "
     "10Gbps (bps, kbps, Mbps, Gbps; Bps, MBps, GBps)"},
    {PLATFORM, "platform-cell-property-on-edge",
     "bad/platform-cell-property-on-edge.xml:10: <host id=\"edge0\"> has the role edge; "
     "celslm.carrier belongs to hosts with the role cell"},
    {PLATFORM, "platform-cluster",
     "bad/platform-cluster.xml:32: <cluster> inside <zone> is not supported yet; allowed: host, "
     "router, link, route, prop"},
    {PLATFORM, "platform-dangling-host",
     "bad/platform-dangling-host.xml:37: <route> src \"edge9\" is neither a host nor a router of "
     "this file; declare it before it is used"},
    {PLATFORM, "platform-dangling-link",
     "bad/platform-dangling-link.xml:37: <link_ctn> names the link \"metr\", which is not there; "
     "every link of a route must be declared by <link>"},
    {PLATFORM, "platform-duplicate-host",
     "bad/platform-duplicate-host.xml:32: a second host or router named \"edge0\" (the first is "
     "in line 10); names must differ"},
    {PLATFORM, "platform-duplicate-link",
     "bad/platform-duplicate-link.xml:35: a second link named \"site\" (the first is in line "
     "34); names must differ"},
    {PLATFORM, "platform-duplicate-route",
     "bad/platform-duplicate-route.xml:39: a second route from \"edge0\" to \"switch\" (the "
     "first is in line 37); one is allowed, and symmetrical=\"NO\" limits a route to one way"},
    {PLATFORM, "platform-empty-route",
     "bad/platform-empty-route.xml:37: <route> from \"edge0\" to \"switch\" without links; give "
     "at least one <link_ctn>"},
    {PLATFORM, "platform-full-misses-pair",
     "bad/platform-full-misses-pair.xml:5: host \"cloud\" has no route to \"edge0\"; every pair "
     "of hosts must be connected"},
    {PLATFORM, "platform-negative-speed",
     "bad/platform-negative-speed.xml:10: <host> speed \"-200Gf\": out of range; it must be more "
     "than 0"},
    {PLATFORM, "platform-nested-zone",
     "bad/platform-nested-zone.xml:32: <zone> inside <zone> is not supported yet; allowed: host, "
     "router, link, route, prop"},
    {PLATFORM, "platform-network-dtd",
     "bad/platform-network-dtd.xml:2: a declaration inside <!DOCTYPE ...>; entities and other "
     "declarations are not allowed, write the values out"},
    {PLATFORM, "platform-no-direction",
     "bad/platform-no-direction.xml:36: link \"wan\" is SPLITDUPLEX; give direction=\"UP\" or "
     "direction=\"DOWN\""},
    {PLATFORM, "platform-no-role",
     "bad/platform-no-role.xml:10: <host id=\"edge0\"> lacks \"celslm.role\"; allowed: cloud, "
     "edge, device, cell, router"},
    {PLATFORM, "platform-no-unit-in-cell",
     "bad/platform-no-unit-in-cell.xml:14: <host id=\"gnb0\"> celslm.carrier \"3.5\": no unit; "
     "give a frequency such as 3.5GHz (Hz, kHz, MHz, GHz)"},
    {PLATFORM, "platform-one-way",
     "bad/platform-one-way.xml:5: host \"cloud\" has no route to \"edge0\"; every pair of hosts "
     "must be connected"},
    {PLATFORM, "platform-profile-outside",
     "bad/platform-profile-outside.xml:5: celslm.profile \"../gpu\": not a name; give the name "
     "of a file in profiles, without .xml"},
    {PLATFORM, "platform-routing",
     "bad/platform-routing.xml:4: <zone> routing \"Vivaldi\" is not supported; allowed: Full, "
     "Floyd, Dijkstra, DijkstraCache"},
    {PLATFORM, "platform-second-zone",
     "bad/platform-second-zone.xml:40: a second <zone> in <platform> is not supported yet; "
     "allowed: one <zone>"},
    {PLATFORM, "platform-serves-nobody",
     "bad/platform-serves-nobody.xml:14: cell \"gnb0\" serves \"cloud\", which has the role "
     "cloud; give a host with the role edge"},
    {PLATFORM, "platform-state-file",
     "bad/platform-state-file.xml:34: <link> state_file is not supported yet; allowed: id, "
     "bandwidth, latency, sharing_policy"},
    {PLATFORM, "platform-trace-element",
     "bad/platform-trace-element.xml:39: <trace_connect> inside <zone> is not supported yet; "
     "allowed: host, router, link, route, prop"},
    {PLATFORM, "platform-speed-file",
     "bad/falling.speed:4: not a line of a speed file; allowed: TIME FACTOR with rising times of "
     "at "
     "least 0 and factors above 0 and up to 1000, PERIODICITY d, LOOPAFTER d, # comment"},
    {PLATFORM, "platform-pstate",
     "bad/platform-pstate.xml:10: <host> pstate \"2\": out of range; it must be a whole number of "
     "at least 0 and at most 1"},
    {PLATFORM, "platform-several-speeds",
     "bad/platform-several-speeds.xml:10: <host> speed \"fast\": \"fast\": not a number; give a "
     "speed such as 312Tf (f, Mf, Gf, Tf)"},
    {PLATFORM, "platform-unconnected",
     "bad/platform-unconnected.xml:5: host \"cloud\" has no route to \"edge0\"; every pair of "
     "hosts must be connected"},
    {PLATFORM, "platform-unknown-profile",
     "bad/platform-unknown-profile.xml:5: celslm.profile \"tpu\": there is no profiles/tpu.xml; "
     "profiles there: box, gpu, this-machine"},
    {PLATFORM, "platform-unknown-property",
     "bad/platform-unknown-property.xml:17: <prop> \"celslm.carier\" is not known; allowed: "
     "celslm.role, celslm.profile, celslm.accelerators, celslm.interconnect, celslm.radio, "
     "celslm.interconnect_latency, celslm.price_hour, celslm.state_power, celslm.serves, "
     "celslm.carrier, celslm.bandwidth, celslm.tx_power, celslm.antenna_gain, celslm.noise_figure, "
     "celslm.ue_tx_power, celslm.ue_antenna_gain, celslm.ue_noise_figure, celslm.height, celslm.x, "
     "celslm.y, celslm.dl_share, celslm.ul_share, celslm.dl_layers, celslm.ul_layers, celslm.tdd, "
     "celslm.numerology, celslm.azimuth, celslm.downtilt, celslm.interference_gain, "
     "celslm.pa_efficiency, celslm.ue_pa_efficiency, celslm.band"},
    {PLATFORM, "platform-version",
     "bad/platform-version.xml:3: <platform> version \"4\" is not supported; give version=\"4.1\""},
    {PLATFORM, "platform-wifi",
     "bad/platform-wifi.xml:35: <link> sharing_policy \"WIFI\" is not allowed; allowed: SHARED, "
     "FATPIPE, SPLITDUPLEX"},
    {PLATFORM, "platform-zero-speed",
     "bad/platform-zero-speed.xml:10: <host> speed \"0f\": out of range; it must be more than 0"},
    {SCENARIO, "popularity-without-contexts",
     "bad/popularity-without-contexts.xml:9: <popularity> without contexts; give <contexts>, or "
     "leave <popularity> out"},
    {SCENARIO, "population-twice",
     "bad/population-twice.xml:9: <population> needs either tokens=\"...\" or a distribution; "
     "distributions: fixed, lognormal, uniform"},
    {SCENARIO, "prediction-error",
     "bad/prediction-error.xml:10: <workload> prediction_error \"11\": out of range; it must be at "
     "least 0 and at most 10"},
    {PROFILE, "profile-above-bandwidth",
     "bad/profile-above-bandwidth.xml:17: <curve kind=\"decode-attention\"> byte_rate is above "
     "the device's bandwidth; it must be at most 1000GBps"},
    {PROFILE, "profile-above-peak",
     "bad/profile-above-peak.xml:13: <curve kind=\"gemm\"> flop_rate is above the device's peak; "
     "it must be at most 100Tf, the f16 peak"},
    {PROFILE, "profile-append-gemm",
     "bad/profile-append-gemm.xml:13: <curve kind=\"gemm\"> append_rate; only the curves of "
     "attention append keys and values"},
    {PROFILE, "profile-append-stands-still",
     "bad/profile-append-stands-still.xml:17: <curve> append_rate \"0GBps\": out of range; it must "
     "be more than 0"},
    {PROFILE, "profile-codec-stands-still",
     "bad/profile-codec-stands-still.xml:20: <codec> encode \"0GBps\": out of range; it must be "
     "more than 0"},
    {PROFILE, "profile-missing-overhead",
     "bad/profile-missing-overhead.xml:10: <curves> cannot stand here; allowed: <overhead>"},
    {PROFILE, "profile-no-peak-for-curves",
     "bad/profile-no-peak-for-curves.xml:11: <curves dtype=\"bf16\"> without a <peak> of that "
     "precision; give one"},
    {PROFILE, "profile-no-source",
     "bad/profile-no-source.xml:3: <peak> lacks the attribute \"source\"; give source=\"...\" "
     "(where the value comes from: measured (how), datasheet (which), or assumption (why))"},
    {PROFILE, "profile-power-upside-down",
     "bad/profile-power-upside-down.xml:7: <power> idle is above max; it must not be"},
    {PROFILE, "profile-second-peak",
     "bad/profile-second-peak.xml:4: a second <peak dtype=\"f16\">; one for each precision"},
    {PROFILE, "profile-two-codecs",
     "bad/profile-two-codecs.xml:21: a second <codec name=\"int8\">; one of each name"},
    {PROFILE, "profile-two-gemms",
     "bad/profile-two-gemms.xml:17: a second <curve kind=\"gemm\">; one of each kind"},
    {PROFILE, "profile-unknown-dtype",
     "bad/profile-unknown-dtype.xml:4: <peak> dtype \"int3\" is not allowed; allowed: f32, f16, "
     "bf16, fp8, int8, int4"},
    {SCENARIO, "rate-scale",
     "bad/rate-scale.xml:11: <trace> rate_scale \"101\": out of range; it must be at least 1e-06 "
     "and at most 100"},
    {SCENARIO, "ring-inside-out",
     "bad/ring-inside-out.xml:10: <ues> min_distance 20m is above max_distance 10m; it must not "
     "be"},
    {SCENARIO, "sessions-law",
     "bad/sessions-law.xml:14: <sessions> turns_law \"poisson\" is not allowed; allowed: fixed, "
     "geometric"},
    {SCENARIO, "share-above-one",
     "bad/share-above-one.xml:6: <engine> memory_share \"1.5\": out of range; it must be more "
     "than 0 and at most 1"},
    {SCENARIO, "shares-exceed-host",
     "bad/shares-exceed-host.xml:7: <engine> \"edge0\": the engines of host \"cloud\" together "
     "have memory_share 1.8; it must be at most 1"},
    {SCENARIO, "text-inside",
     "bad/text-inside.xml:5: <engines> holds text; allowed in it are only elements and attributes"},
    {SCENARIO, "too-large",
     "bad/too-large.xml:11: <poisson> rate \"1e999/s\": out of range; give a rate such as 8/s "
     "(/s, /min, /h)"},
    {SCENARIO, "trace-and-arrivals",
     "bad/trace-and-arrivals.xml:10: <workload> has both <trace> and <arrivals>; give either a "
     "trace, or arrivals, prompt and output"},
    {SCENARIO, "trace-and-sessions",
     "bad/trace-and-sessions.xml:10: <workload> has both <trace> and <sessions>; give either a "
     "trace, or arrivals, prompt and output"},
    {SCENARIO, "two-strategies-in-one",
     "bad/two-strategies-in-one.xml:16: <cloud-only> cannot stand here; nothing more is allowed "
     "in <strategy>"},
    {SCENARIO, "unclosed",
     "bad/unclosed.xml:17: not well-formed XML: Opening and ending tag mismatch: engines line 5 "
     "and scenario; every element must be closed and every value quoted"},
    {SCENARIO, "engine-pipeline-to-nobody",
     "bad/engine-pipeline-to-nobody.xml:6: <engine> \"cloud\": pipeline \"edge9\" is not a further "
     "host with a profile, constant speed and 1 accelerators; give names of such"},
    {SCENARIO, "engine-pipeline-twice",
     "bad/engine-pipeline-twice.xml:6: <engine> \"cloud\": pipeline \"edge1\" is not a further "
     "host with a profile, constant speed and 1 accelerators; give names of such"},
    {SCENARIO, "engine-pipeline-shared",
     "bad/engine-pipeline-shared.xml:7: <engine> \"edge0\" is on host \"edge0\" as \"cloud\" is; a "
     "pipeline has its hosts for itself, give it others"},
    {SCENARIO, "engine-pipeline-contexts",
     "bad/engine-pipeline-contexts.xml:6: <engine> \"cloud\": a pipeline needs hosts of constant "
     "speed and keeps no contexts; leave out speed files and context_memory"},
    {SCENARIO, "engine-too-many-accelerators",
     "bad/engine-too-many-accelerators.xml:6: <engine> tensor_parallel \"3\": out of range; it "
     "must be a whole number of at least 1 and at most 2"},
    {SCENARIO, "ues-host-wired",
     "bad/ues-host-wired.xml:11: <ues> host \"edge0\" is not a host of bad/../pair.xml with "
     "celslm.radio; only those hang on a cell"},
    {SCENARIO, "ues-host-count",
     "bad/ues-host-count.xml:11: <ues> host \"car\" with count 2; a host hangs on a cell by one "
     "equipment: count=\"1\""},
    {SCENARIO, "ues-host-twice",
     "bad/ues-host-twice.xml:11: <ues> host \"car\" is connected by another <ues> already; one is "
     "allowed"},
    {SCENARIO, "engine-on-no-cell",
     "bad/engine-on-no-cell.xml:7: <engine> \"car\" is on host \"car\", which hangs on no cell "
     "yet; add <ues host=\"car\" count=\"1\" ...> to <radio>"},
    {SCENARIO, "engine-pipeline-by-air",
     "bad/engine-pipeline-by-air.xml:7: <engine> \"e\" reaches over the radio to or from host "
     "\"car\" in every iteration or swap; a pipeline and swap_to need wires"},
    {SCENARIO, "engine-swaps-by-air",
     "bad/engine-swaps-by-air.xml:7: <engine> \"e\" reaches over the radio to or from host \"car\" "
     "in every iteration or swap; a pipeline and swap_to need wires"},
    {PLATFORM, "platform-radio-and-route",
     "bad/platform-radio-and-route.xml:10: host \"edge0\" has celslm.radio and a route; it has a "
     "wire or hangs on a cell, not both"},
    {PLATFORM, "platform-radio-cloud",
     "bad/platform-radio-cloud.xml:5: <host id=\"cloud\"> has the role cloud and celslm.radio; "
     "only edge and "
     "device hosts can be on the radio"},
    {PLATFORM, "platform-serves-radio",
     "bad/platform-serves-radio.xml:18: cell \"gnb0\" serves \"car\", which hangs on a cell "
     "itself; give a host with a wire"},
    {SCENARIO, "engine-swaps-to-nobody",
     "bad/engine-swaps-to-nobody.xml:6: <engine> \"cloud\": swap_to \"dram\" is not a host of "
     "bad/../small.xml; give the host that stands for the memory behind its PCIe link"},
    {SCENARIO, "engine-watermark",
     "bad/engine-watermark.xml:6: <engine> watermark \"0.7\": out of range; it must be at least 0 "
     "and at most 0.5"},
    {SCENARIO, "engine-rate-without-unit",
     "bad/engine-rate-without-unit.xml:6: <engine> rate_limit \"5\": no unit; give a rate such as "
     "8/s (/s, /min, /h)"},
    {SCENARIO, "engine-admission",
     "bad/engine-admission.xml:6: <engine> admission \"all\" is not allowed; allowed: prompt, "
     "chunk"},
    {SCENARIO, "engine-max-queue",
     "bad/engine-max-queue.xml:6: <engine> max_queue \"-1\" is not allowed; give a whole number of "
     "at least 0, or none"},
    {SCENARIO, "engine-rate-action",
     "bad/engine-rate-action.xml:6: <engine> rate_action \"drop\" is not allowed; allowed: wait, "
     "reject"},
    {SCENARIO, "scheduler-unknown",
     "bad/scheduler-unknown.xml:6: <scheduler> has no <lottery> in it; allowed: <fcfs>, "
     "<shortest-job>, <priority>, <deadline>, <fair>"},
    {SCENARIO, "scheduler-negative-weight",
     "bad/scheduler-negative-weight.xml:6: <fair> output_weight \"-1\": negative; it must be at "
     "least 0"},
    {SCENARIO, "unknown-attribute",
     "bad/unknown-attribute.xml:6: <engine> has no attribute \"kvv\"; allowed: name, host, "
     "model, weights, kv, max_num_batched_tokens, max_num_seqs, block_size, kv_blocks, "
     "memory_share, context_memory, tensor_parallel, "
     "pipeline, placement, stage_layers, prefix_caching, admission, watermark, swap_to, "
     "swap_memory, codec_cores, "
     "codec_rate, max_model_len, "
     "max_queue, "
     "rate_limit, rate_burst, rate_action, step_overhead, sequence_overhead, client_overhead, "
     "fixed_iteration"},
    {SCENARIO, "unknown-cell",
     "bad/unknown-cell.xml:10: <ues> cell \"edge0\" is not a cell of bad/../small.xml; cells: "
     "gnb0"},
    {SCENARIO, "unknown-element",
     "bad/unknown-element.xml:12: <prompt> has no <gamma> in it; allowed: <fixed>, <lognormal>, "
     "<uniform>, <zipf>, <empirical>"},
    {SCENARIO, "unknown-entity",
     "bad/unknown-entity.xml:11: not well-formed XML: Entity 'x' not defined; every element must "
     "be closed and every value quoted"},
    {SCENARIO, "unknown-host",
     "bad/unknown-host.xml:6: <engine> host \"clod\" is not in bad/../small.xml; hosts with a "
     "profile: cloud, edge0, edge1"},
    {SCENARIO, "unknown-model",
     "bad/unknown-model.xml:6: <engine> model \"huge\" is not listed in <models>; listed: big, "
     "small"},
    {SCENARIO, "speculative-message",
     "bad/speculative-message.xml:16: <speculative> message \"all\" is not allowed; allowed: "
     "tokens, "
     "distributions, split"},
    {SCENARIO, "stage-layers",
     "bad/stage-layers.xml:6: <engine> \"cloud\": stage_layers \"3 4\" are not the layers of its "
     "hosts; give 1 numbers of at least 1 with the sum 8, and no other placement"},
    {SCENARIO, "unknown-strategy",
     "bad/unknown-strategy.xml:16: <strategy> has no <oracle> in it; allowed: <cloud-only>, "
     "<edge-only>, <ce-lslm>, <disaggregated>, <routing>, <cascade>, <edge-cluster>, "
     "<speculative>, <early-exit>, <layer-split>, <sketch>, <mixed>"},
    {SCENARIO, "unsupported-precision",
     "bad/unsupported-precision.xml:7: <engine> \"edge0\": this-machine does not support "
     "weights=\"fp8\"; allowed there: f32, bf16"},
    {SCENARIO, "weights-too-big",
     "bad/weights-too-big.xml:7: <engine> \"edge0\": the weights of big in f16 take 2.00 GB, but "
     "memory_share 0.1 of host \"edge1\" is 1.00 GB: 1.00 GB are missing; choose a smaller model "
     "or precision, or more accelerators"},
    {SCENARIO, "wrong-order",
     "bad/wrong-order.xml:16: <slo> cannot stand here; allowed: <workload> or <correctness> or "
     "<strategy>"},
    {SCENARIO, "wrong-root",
     "bad/wrong-root.xml:2: the file is a <experiment>; it must be a <scenario>"},
    {SCENARIO, "wrong-unit",
     "bad/wrong-unit.xml:6: <engine> context_memory \"16s\": wrong unit; give a size such as "
     "8GiB (B, kB, MB, GB, KiB, MiB, GiB; b for bits)"},
    {SCENARIO, "zero-rate-of-tokens",
     "bad/zero-rate-of-tokens.xml:13: <fixed> tokens \"0\" is not allowed; give a whole number "
     "of at least 1"},
    {SCENARIO, "zipf-context",
     "bad/zipf-context.xml:9: <zipf> is not a distribution for contexts; allowed: fixed, "
     "lognormal, uniform"},
    {SCENARIO, "radio-unknown-curve",
     "bad/radio-unknown-curve.xml:10: <link> curve \"turbo\" is not allowed; allowed: shannon, "
     "lte, mcs-awgn, mcs-practical"},
    {SCENARIO, "radio-activity-above-one",
     "bad/radio-activity-above-one.xml:10: <link> activity \"1.5\": out of range; it must be at "
     "least 0 and at most 1"},
    {SCENARIO, "radio-all-blocks-fail",
     "bad/radio-all-blocks-fail.xml:10: <link> bler \"0.95\": out of range; it must be at least 0 "
     "and at most 0.9"},
    {SCENARIO, "radio-rain-without-unit",
     "bad/radio-rain-without-unit.xml:10: <umi> rain \"25\": no unit; give a rain rate such as "
     "25mm/h"},
    {SCENARIO, "radio-unknown-channel",
     "bad/radio-unknown-channel.xml:10: <channel> has no <moon> in it; allowed: <umi>, <uma>, "
     "<rma>, <sma>, <inh>, <inh-open>, <inf-sl>, <inf-dl>, <inf-sh>, <inf-dh>, <inf-hh>, "
     "<nyu-umi>, <nyu-uma>, <nyu-rma>, <nyu-inh>, <nyu-inf>"},
    {SCENARIO, "radio-clutter-everywhere",
     "bad/radio-clutter-everywhere.xml:10: <inf-dh> clutter_density \"1\": out of range; it must "
     "be more than 0 and at most 0.99"},
    {SCENARIO, "radio-capability",
     "bad/radio-capability.xml:10: <access> capability \"3\": out of range; it must be a whole "
     "number of at least 1 and at most 2"},
    {SCENARIO, "radio-request-period",
     "bad/radio-request-period.xml:10: <access> request_period \"5\": no unit; give a time such as "
     "5ms (ns, us, ms, s, min, h, d)"},
    {SCENARIO, "radio-depth-without-unit",
     "bad/radio-depth-without-unit.xml:10: <blockage> depth \"15\": no unit; give a gain such as "
     "8dB or 8dBi"},
    {SCENARIO, "radio-negative-hysteresis",
     "bad/radio-negative-hysteresis.xml:10: <handover> hysteresis \"-1dB\": out of range; it must "
     "be at least 0dB and at most 30dB"},
    {SCENARIO, "radio-filter",
     "bad/radio-filter.xml:10: <handover> filter \"20\": out of range; it must be a whole number "
     "of at least 0 and at most 19"},
    {SCENARIO, "radio-no-patience",
     "bad/radio-no-patience.xml:10: <radio> patience \"0s\": out of range; it must be at least "
     "0.001s and at most 1e+06s"},
    {SCENARIO, "radio-indoors-and-in-cars",
     "bad/radio-indoors-and-in-cars.xml:10: <ues> indoor 0.8 and in_car 0.5 are more than all; "
     "allowed: a sum of at most 1"},
    {SCENARIO, "radio-unknown-wall",
     "bad/radio-unknown-wall.xml:10: <ues> wall \"paper\" is not allowed; allowed: low, high, "
     "high-v19, low-a, legacy, nyu-low, nyu-high"},
    {SCENARIO, "radio-no-weight",
     "bad/radio-no-weight.xml:10: <ues> weight \"0\": out of range; it must be at least 0.001 and "
     "at most 1000"},
    {SCENARIO, "radio-share-above-one",
     "bad/radio-share-above-one.xml:10: <ues> max_share \"2\": out of range; it must be at least "
     "0.001 and at most 1"},
    {SCENARIO, "radio-demand-without-unit",
     "bad/radio-demand-without-unit.xml:10: <ues> demand_up \"5\": no unit; give a rate such as "
     "10Gbps (bps, kbps, Mbps, Gbps; Bps, MBps, GBps)"},
    {SCENARIO, "radio-waypoint-speeds",
     "bad/radio-waypoint-speeds.xml:10: <waypoint> speed_min 3m/s is above speed_max 2m/s; it must "
     "not be"},
    {SCENARIO, "radio-road-of-no-length",
     "bad/radio-road-of-no-length.xml:10: <road> is shorter than 1m; give two ends"},
    {SCENARIO, "radio-memory-above-one",
     "bad/radio-memory-above-one.xml:10: <gauss-markov> memory \"2\": out of range; it must be at "
     "least 0 and at most 1"},
    {SCENARIO, "faults-unknown-link",
     "bad/faults-unknown-link.xml:18: <link> \"wire\" is not a link of bad/../small.xml; allowed: "
     "wan, metro, site"},
    {SCENARIO, "faults-unknown-cell",
     "bad/faults-unknown-cell.xml:18: <cell> \"edge0\" is not a cell of bad/../small.xml; allowed: "
     "gnb0"},
    {SCENARIO, "faults-cell-as-host",
     "bad/faults-cell-as-host.xml:18: <host> \"gnb0\" is not a host with a profile of "
     "bad/../small.xml; allowed: cloud, edge0, edge1"},
    {SCENARIO, "faults-both-ways",
     "bad/faults-both-ways.xml:18: <link> \"wan\" does not say when; give either at and for, or "
     "mtbf and mttr"},
    {SCENARIO, "faults-faster-than-new",
     "bad/faults-faster-than-new.xml:18: <link> speed \"2\": out of range; it must be at least 0 "
     "and at most 1"},
    {SCENARIO, "faults-host-has-no-speed",
     "bad/faults-host-has-no-speed.xml:18: <host> has no attribute \"speed\"; allowed: name, at, "
     "for, mtbf, mttr"},
    {SCENARIO, "wires-unknown-link",
     "bad/wires-unknown-link.xml:18: <jitter> \"wire\" is not a link of bad/../small.xml; allowed: "
     "wan, metro, site"},
    {SCENARIO, "wires-full",
     "bad/wires-full.xml:18: <background> of 1.25e+08Bps fills link \"wan\" (1.25e+08Bps); it must "
     "leave something"},
    {SCENARIO, "wires-weight",
     "bad/wires-weight.xml:18: <priority> weight \"17\": out of range; it must be a whole number "
     "of at least 1 and at most 16"},
    {SCENARIO, "wires-unknown-traffic",
     "bad/wires-unknown-traffic.xml:18: <priority> traffic \"mail\" is not allowed; allowed: "
     "prompt, tokens, kv, context, swap, activations"},
    {SCENARIO, "unknown-source-after-handover",
     "bad/unknown-source-after-handover.xml:17: <ce-lslm> after_handover \"moon\" is not allowed; "
     "allowed: cloud, old-edge, migrate"},
    {SCENARIO, "codec-unknown",
     "bad/codec-unknown.xml:17: <ce-lslm> codec \"zip\" is not allowed; give a KV compression: "
     "f16, int8, int4, lowrank:RANK (1 to 9999) or tokens:SHARE (up to 1), the last two also with "
     "+int8 or +int4 behind"},
    {SCENARIO, "codec-rank-zero",
     "bad/codec-rank-zero.xml:17: <ce-lslm> codec \"lowrank:0\" is not allowed; give a KV "
     "compression: f16, int8, int4, lowrank:RANK (1 to 9999) or tokens:SHARE (up to 1), the last "
     "two also with +int8 or +int4 behind"},
    {SCENARIO, "codec-two-precisions",
     "bad/codec-two-precisions.xml:17: <ce-lslm> codec \"int8+int4\" is not allowed; give a KV "
     "compression: f16, int8, int4, lowrank:RANK (1 to 9999) or tokens:SHARE (up to 1), the last "
     "two also with +int8 or +int4 behind"},
    {SCENARIO, "codec-share",
     "bad/codec-share.xml:17: <ce-lslm> codec \"tokens:1.5+int8\" is not allowed; give a KV "
     "compression: f16, int8, int4, lowrank:RANK (1 to 9999) or tokens:SHARE (up to 1), the last "
     "two also with +int8 or +int4 behind"},
    {SCENARIO, "codec-after",
     "bad/codec-after.xml:17: <ce-lslm> codec \"tokens:0.5int8\" is not allowed; give a KV "
     "compression: f16, int8, int4, lowrank:RANK (1 to 9999) or tokens:SHARE (up to 1), the last "
     "two also with +int8 or +int4 behind"},
    {SCENARIO, "codec-rate-without-unit",
     "bad/codec-rate-without-unit.xml:6: <engine> codec_rate \"5\": no unit; give a rate such as "
     "10Gbps (bps, kbps, Mbps, Gbps; Bps, MBps, GBps)"},
    {SCENARIO, "codec-no-cores",
     "bad/codec-no-cores.xml:6: <engine> codec_cores \"0\" is not allowed; give a whole number of "
     "at least 1"},
    {SCENARIO, "join-unknown",
     "bad/join-unknown.xml:17: <ce-lslm> join \"late\" is not allowed; allowed: lane, stall, "
     "admit"},
    {SCENARIO, "transfer-unknown",
     "bad/transfer-unknown.xml:17: <ce-lslm> transfer \"half\" is not allowed; allowed: layers, "
     "whole"},
    {SCENARIO, "chunk-of-part",
     "bad/chunk-of-part.xml:17: <ce-lslm> chunk \"1.5\" is not allowed; give a whole number of at "
     "least 0"},
    {SCENARIO, "changes-without-unit",
     "bad/changes-without-unit.xml:9: <contexts> changes \"3\": no unit; give a rate such as 8/s "
     "(/s, /min, /h)"},
    {SCENARIO, "push-period",
     "bad/push-period.xml:17: <ce-lslm> push_period \"5\": no unit; give a time such as 5ms (ns, "
     "us, ms, s, min, h, d)"},
    {PLATFORM, "platform-unknown-band",
     "bad/platform-unknown-band.xml:14: celslm.band \"fr9\": there is no "
     "profiles/../bands/fr9.xml; give the name of a file there, without .xml"},
    {PLATFORM, "platform-band-outside",
     "bad/platform-band-outside.xml:14: celslm.band \"../profiles/gpu\": there is no "
     "profiles/../bands/../profiles/gpu.xml; give the name of a file there, without .xml"},
    {PLATFORM, "platform-band-without-source",
     "profiles/../bands/no-source.xml:2: <prop> lacks \"source\"; give a name"},
    {PLATFORM, "platform-band-other-property",
     "profiles/../bands/not-of-cells.xml:2: <prop> \"celslm.profile\" is not a property of cells; "
     "allowed are those of hosts with the role cell, such as celslm.carrier"},
    {PLATFORM, "platform-numerology",
     "bad/platform-numerology.xml:14: <host id=\"gnb0\"> celslm.numerology \"7\": out of range; it "
     "must be a whole number of at least 0 and at most 6"},
    {PLATFORM, "platform-azimuth",
     "bad/platform-azimuth.xml:14: <host id=\"gnb0\"> celslm.azimuth \"400\": out of range; it "
     "must be at least -360 and at most 360"},
    {SCENARIO, "prices-no-such-engine",
     "bad/prices-no-such-engine.xml:17: <quality> engine \"edge9\" is not an engine of this "
     "scenario; name one of those in <engines>"},
    {SCENARIO, "prices-too-good",
     "bad/prices-too-good.xml:17: <quality> of \"1.5\": out of range; it must be at least 0 and at "
     "most 1"},
    {SCENARIO, "prices-weight",
     "bad/prices-weight.xml:17: <prices> quality_weight \"2\": out of range; it must be at least 0 "
     "and at most 1"},
    {SCENARIO, "prices-without-unit",
     "bad/prices-without-unit.xml:17: <prices> kilowatt_hour \"0.25\": no unit; give a price such "
     "as 25cent (cent, EUR, USD)"},
    {PLATFORM, "platform-link-prop",
     "bad/platform-link-prop.xml:34: <prop> \"celslm.watts\" of a link is not known; allowed: "
     "celslm.energy_per_byte, celslm.price_per_gigabyte"},
    {PLATFORM, "platform-link-energy",
     "bad/platform-link-energy.xml:34: <prop> value \"2\": no unit; give an energy such as 3kWh "
     "(J, kJ, Wh, kWh)"},
    {PLATFORM, "platform-rent",
     "bad/platform-rent.xml:6: <host id=\"cloud\"> celslm.price_hour \"3\": no unit; give a price "
     "such as 25cent (cent, EUR, USD)"},
    {PLATFORM, "platform-state-powers",
     "bad/platform-state-powers.xml:6: <host id=\"cloud\"> celslm.state_power has 3 powers for 2 "
     "performance states; give one for each speed"},
    {PLATFORM, "platform-state-below-idle",
     "bad/platform-state-below-idle.xml:6: <host id=\"cloud\"> celslm.state_power \"20W\" is below "
     "the idle power of its profile, 50W; it must not be"},
    {PLATFORM, "platform-pa-efficiency",
     "bad/platform-pa-efficiency.xml:15: <host id=\"gnb0\"> celslm.pa_efficiency \"2\": out of "
     "range; it must be at least 1e-06 and at most 1"},
    {PLATFORM, "platform-rent-without-profile",
     "bad/platform-rent-without-profile.xml:15: <host id=\"gnb0\"> has celslm.price_hour but no "
     "celslm.profile; give both or neither"},
};

/* True: it loads. */
static bool try_file(int kind, const char *file, celslm_error *err) {
  celslm_scenario *s = NULL;
  celslm_platform *p = NULL;
  celslm_profile *profile = NULL;
  celslm_model m = {0};
  bool ok = false;
  switch (kind) {
  case SCENARIO:
    ok = (s = celslm_scenario_load(file, NULL, err)) != NULL;
    break;
  case PLATFORM:
    ok = (p = celslm_platform_load(file, "profiles", err)) != NULL;
    break;
  case PROFILE:
    ok = (profile = celslm_profile_load(file, err)) != NULL;
    break;
  case MODEL:
    ok = celslm_model_load(file, &m, err);
    break;
  }
  celslm_scenario_free(s);
  celslm_platform_free(p);
  celslm_profile_free(profile);
  celslm_model_clear(&m);
  return ok;
}

START_TEST(test_case) {
  celslm_error err = {""};
  ck_assert_int_eq(chdir(CELSLM_TEST_DATA), 0);
  char *file = celslm_format("bad/%s.xml", cases[_i].name);
  fflush(stderr);
  int quiet = dup(2); /* libxml2 must not print: stderr is a file meanwhile */
  FILE *said = tmpfile();
  dup2(fileno(said), 2);
  bool ok = try_file(cases[_i].kind, file, &err);
  fflush(stderr);
  dup2(quiet, 2);
  close(quiet);
  fseek(said, 0, SEEK_END);
  ck_assert_int_eq(ftell(said), 0);
  fclose(said);
  free(file);
  ck_assert(!ok);
  ck_assert_str_eq(err.text, cases[_i].message);
  ck_assert_ptr_nonnull(strchr(err.text, ';')); /* what is wrong; what is allowed */
}
END_TEST

START_TEST(test_missing) {
  celslm_error err = {""};
  ck_assert_int_eq(chdir(CELSLM_TEST_DATA), 0);
  ck_assert(!try_file(SCENARIO, "bad/nowhere.xml", &err));
  ck_assert_str_eq(err.text, "bad/nowhere.xml: cannot be read: No such file or directory; give an "
                             "XML file of at most 16 MiB");
  err.text[0] = 0;
  ck_assert(!try_file(SCENARIO, "bad", &err));
  ck_assert_str_eq(err.text,
                   "bad: cannot be read: it is a folder; give an XML file of at most 16 MiB");
  err.text[0] = 0;
  ck_assert(!try_file(SCENARIO, "/dev/zero", &err));
  ck_assert_str_eq(err.text, "/dev/zero: cannot be read: not a regular file; give an XML file of "
                             "at most 16 MiB");
}
END_TEST

/* The limit counts all files of a document together. */
START_TEST(test_huge) {
  char folder[] = "/tmp/celslm-test-XXXXXX", huge[100], part[100], outer[100], expected[300];
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(huge, sizeof huge, "%s/huge.xml", folder);
  snprintf(part, sizeof part, "%s/part.xml", folder);
  snprintf(outer, sizeof outer, "%s/outer.xml", folder);
  celslm_error err = {""};

  FILE *f = fopen(huge, "w");
  fputs("<scenario name='huge'>", f);
  ck_assert_int_eq(ftruncate(fileno(f), (16l << 20) + 1), 0);
  fclose(f);
  ck_assert(!try_file(SCENARIO, huge, &err));
  snprintf(expected, sizeof expected,
           "%s: cannot be read: larger than 16 MiB; give an XML file of at most 16 MiB", huge);
  ck_assert_str_eq(err.text, expected);

  f = fopen(part, "w");
  fputs("<part><!--", f);
  for (int i = 0; i < 9 << 20; i++) fputc('x', f);
  fputs("--></part>", f);
  fclose(f);
  f = fopen(outer, "w");
  fputs("<scenario xmlns:xi='http://www.w3.org/2001/XInclude'>\n<xi:include href='part.xml'/>\n"
        "<xi:include href='part.xml'/>\n</scenario>\n",
        f);
  fclose(f);
  err.text[0] = 0;
  ck_assert(!try_file(SCENARIO, outer, &err));
  snprintf(expected, sizeof expected,
           "%s:3: cannot include \"%s\": larger than 16 MiB; give an XML file (all together at "
           "most 16 MiB)",
           outer, part);
  ck_assert_str_eq(err.text, expected);
  unlink(huge);
  unlink(part);
  unlink(outer);
  rmdir(folder);
}
END_TEST

/* Every truncation and many single-byte changes of good inputs: an error or a result, no crash. */
START_TEST(test_mutations) {
  ck_assert_int_eq(chdir(CELSLM_TEST_DATA), 0);
  char text[4096] = "";
  FILE *f = fopen("scenario/least.xml", "r");
  size_t size = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  unsigned random = 1;
  for (size_t n = 0; n < size; n++) {
    celslm_error err = {""};
    char *copy = celslm_strdup(text);
    random = random * 1103515245 + 12345;
    if (n % 2)
      copy[n] = 0;
    else
      copy[random / 65536 % size] = (char)(random / 256 % 255 + 1);
    celslm_scenario *s = celslm_scenario_parse(copy, "scenario/least.xml", NULL, &err);
    ck_assert((s != NULL) == (err.text[0] == 0));
    celslm_scenario_free(s);
    free(copy);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("bad");
  TCase *tests = tcase_create("bad");
  tcase_add_loop_test(tests, test_case, 0, sizeof cases / sizeof *cases);
  tcase_add_test(tests, test_missing);
  tcase_add_test(tests, test_huge);
  tcase_add_test(tests, test_mutations);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* strategies.h - every strategy that property tests run: a new one is one line. They meet a cloud
 * with the engine "cloud" (model big), edges with "e0" and "e1" (model small; part, of
 * big's width, with early-exit; a pipeline that begins at e0 with layer-split), classes "a" and
 * "b", and the correctness below. */
#ifndef CELSLM_TESTS_STRATEGIES_H
#define CELSLM_TESTS_STRATEGIES_H

#define STORM_CORRECTNESS                                                                          \
  "<correctness correlation=\"0.6\" score=\"0.7\" confidence=\"0.8\"><of model=\"big\" "           \
  "accuracy=\"0.8\"/>"                                                                             \
  "<of model=\"small\" accuracy=\"0.6\"/><of model=\"part\" accuracy=\"0.5\"/></correctness>"

static const char *const every_strategy[] = {
    "<cloud-only/>",
    "<cloud-only prompt_cache=\"yes\"/>",
    "<edge-only prompt_cache=\"yes\"/>",
    "<ce-lslm after_handover=\"old-edge\"/>",
    "<ce-lslm cloud_warm=\"yes\" after_handover=\"migrate\"/>",
    "<ce-lslm pipeline=\"no\" cloud_streaming=\"no\"/>",
    "<ce-lslm codec=\"int4\" chunk=\"100\" after_handover=\"old-edge\"/>",
    "<ce-lslm codec=\"lowrank:96+int8\" transfer=\"whole\" join=\"admit\"/>",
    "<ce-lslm join=\"stall\" local_layers=\"1\"/>",
    "<ce-lslm join=\"stall\" cloud_warm=\"yes\" map_at=\"edge\"/>",
    "<ce-lslm join=\"admit\" after_handover=\"migrate\"/>",
    "<ce-lslm push=\"3\" push_period=\"300ms\"/>",
    "<ce-lslm codec=\"tokens:0.3\" codec_overlap=\"no\" chunk=\"64\"/>",
    "<disaggregated prefill=\"e0\" decode=\"e1\"/>",
    "<disaggregated prefill=\"e1 e0\" decode=\"e0 e1\" transfer=\"whole\"/>",
    "<disaggregated prefill=\"e0\" decode=\"e1\" kv_buffer=\"8MB\"/>",
    "<speculative acceptance=\"0.7\"/>",
    "<speculative acceptance=\"0.8\" message=\"split\" adaptive=\"yes\"/>",
    "<sketch/>",
    "<layer-split engine=\"e0\"/>",
    "<early-exit confidence=\"0.8\"/>",
    "<early-exit confidence=\"0.5\" upload=\"on-demand\"/>",
    "<mixed><for class=\"a\"><early-exit confidence=\"0.6\"/></for><for class=\"b\">"
    "<ce-lslm join=\"stall\"/></for></mixed>",
    "<mixed><for class=\"a\"><edge-cluster engines=\"e0 e1\"/></for>"
    "<for class=\"b\"><layer-split engine=\"e0\"/></for></mixed>",
    "<routing policy=\"weighted\" edge_share=\"0.7\"/>",
    "<routing policy=\"threshold\" threshold=\"0.5\" prompt_cache=\"yes\"/>",
    "<routing policy=\"load-aware\"/>",
    "<routing policy=\"predicted-latency\" prompt_cache=\"yes\"/>",
    "<routing policy=\"oracle\"/>",
    "<cascade threshold=\"0.6\"/>",
    "<cascade threshold=\"0.4\" hold=\"yes\" prompt_cache=\"yes\"/>",
    "<edge-cluster/>",
    "<edge-cluster select=\"random\" limit=\"5\" prompt_cache=\"yes\"/>",
    "<edge-cluster select=\"weighted\" weights=\"1 2\" engines=\"e0 e1\" limit=\"3\" "
    "fallback=\"no\"/>",
    "<mixed><for class=\"a\"><ce-lslm/></for><for class=\"b\"><cascade "
    "threshold=\"0.5\"/></for></mixed>",
    "<mixed><for class=\"b\"><disaggregated prefill=\"e0\" decode=\"e1\"/></for>"
    "<for class=\"a\"><edge-cluster/></for></mixed>",
    "<ce-lslm outage=\"wait\" outage_limit=\"3s\"/>",
    "<ce-lslm><planner replan=\"1.3\"/></ce-lslm>",
    "<ce-lslm cloud_warm=\"yes\" peers=\"2\" outage=\"degrade\" outage_codec=\"int4\"><planner "
    "codecs=\"f16 lowrank:64+int8\" replan=\"1.1\" local=\"no\"/></ce-lslm>",
    "<ce-lslm outage=\"recompute\" outage_detect=\"50ms\" pipeline=\"no\"/>",
    "<ce-lslm outage=\"degrade\" outage_codec=\"int4\" after_handover=\"migrate\"/>",
    "<ce-lslm outage=\"neighbour\" peers=\"2\" peer_period=\"100ms\"/>",
    "<ce-lslm outage=\"reject\" peers=\"1\" peer_uploads=\"1\" placement=\"predicted-ttft\"/>",
    "<ce-lslm outage=\"wait\" peers=\"1\" placement=\"context-affine\"/>",
    "<edge-only prompt_cache=\"yes\" peers=\"2\" placement=\"least-loaded\" "
    "peer_period=\"200ms\"/>",
    "<ce-lslm push=\"2\" push_period=\"200ms\" outage=\"wait\" peers=\"1\" local_layers=\"1\"/>",
};
enum { N_STRATEGIES = sizeof every_strategy / sizeof *every_strategy };

#endif

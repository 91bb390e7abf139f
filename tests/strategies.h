/* strategies.h - every strategy that property tests run: a new one is one line. They meet a cloud
 * with the engine "cloud" (model big), edges with "e0" and "e1" (model small), classes "a" and "b",
 * and the correctness below. */
#ifndef CELSLM_TESTS_STRATEGIES_H
#define CELSLM_TESTS_STRATEGIES_H

#define STORM_CORRECTNESS                                                                          \
  "<correctness correlation=\"0.6\" score=\"0.7\" confidence=\"0.8\"><of model=\"big\" "           \
  "accuracy=\"0.8\"/>"                                                                             \
  "<of model=\"small\" accuracy=\"0.6\"/></correctness>"

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
    "<speculative acceptance=\"0.7\"/>",
    "<sketch/>",
    "<disaggregated prefill=\"e0\" decode=\"e1\"/>",
    "<disaggregated prefill=\"e1 e0\" decode=\"e0 e1\" transfer=\"whole\"/>",
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
    "<for class=\"a\"><edge-cluster/></for></mixed>"};
enum { N_STRATEGIES = sizeof every_strategy / sizeof *every_strategy };

#endif

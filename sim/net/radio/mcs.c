#include "net/radio/mcs.h"

#include <math.h>

enum { CQIS = 15, TABLE_1 = 29, TABLE_2 = 28 };

/* ---- TS 38.214, tables 5.2.2.1-2, -3, -4 ----------------------------------------------------- */

static const double cqi[3][CQIS] = {
    {.1523, .2344, .3770, .6016, .8770, 1.1758, 1.4766, 1.9141, 2.4063, 2.7305, 3.3223, 3.9023,
     4.5234, 5.1152, 5.5547},
    {.1523, .3770, .8770, 1.4766, 1.9141, 2.4063, 2.7305, 3.3223, 3.9023, 4.5234, 5.1152, 5.5547,
     6.2266, 6.9141, 7.4063},
    {.0586, .0977, .1523, .2344, .3770, .6016, .8770, 1.1758, 1.4766, 1.9141, 2.4063, 2.7305,
     3.3223, 3.9023, 4.5234},
};

double celslm_cqi_efficiency(int table, int index) {
  if (table < 1 || table > 3 || index < 1 || index > CQIS) return NAN;
  return cqi[table - 1][index - 1];
}

/* ---- TS 38.214, tables 5.1.3.1-1, -2 --------------------------------------------------------- */

static const double mcs_1[TABLE_1] = {
    .2344,  .3066,  .3770,  .4902,  .6016,  .7402,  .8770,  1.0273, 1.1758, 1.3262,
    1.3281, 1.4766, 1.6953, 1.9141, 2.1602, 2.4063, 2.5703, 2.5664, 2.7305, 3.0293,
    3.3223, 3.6094, 3.9023, 4.2129, 4.5234, 4.8164, 5.1152, 5.3320, 5.5547,
};
static const double mcs_2[TABLE_2] = {
    .2344,  .3770,  .6016,  .8770,  1.1758, 1.4766, 1.6953, 1.9141, 2.1602, 2.4063,
    2.5703, 2.7305, 3.0293, 3.3223, 3.6094, 3.9023, 4.2129, 4.5234, 4.8164, 5.1152,
    5.3320, 5.5547, 5.8906, 6.2266, 6.5703, 6.9141, 7.1602, 7.4063,
};

static int size_of(int table) {
  return table == 1 ? TABLE_1 : table == 2 ? TABLE_2 : 0;
}

double celslm_mcs_efficiency(int table, int mcs) {
  if (mcs < 0 || mcs >= size_of(table)) return NAN;
  return table == 1 ? mcs_1[mcs] : mcs_2[mcs];
}

/* ---- thresholds: dB at 10 % failed blocks, MCS table 2; NAN: not published ------------------- */

static const double threshold[2][TABLE_2] = {
    /* github.com/NVlabs/sionna, 20d2bca, src/sionna/sys/bler_tables/PDSCH_table2.json, blocks of
     * 1000 bits, interpolated on its grid of 1.6 to 1.8 dB: each is good to 0.8 dB */
    [CELSLM_LINK_AWGN] = {NAN,   NAN,   -1.60, .13,   1.86,  3.90,  4.85,  6.13,  6.69,  7.96,
                          8.37,  9.55,  10.81, 11.37, 12.64, 13.52, 14.43, 15.61, 16.30, 17.47,
                          18.72, 19.06, 20.20, 21.00, 22.12, 23.34, 24.15, NAN},
    /* github.com/QiuYukang/5G-LENA, 25752db9, model/nr-eesm-t2.cc, blocks of 3624 to 3752 bits */
    [CELSLM_LINK_PRACTICAL] = {-.97,  .38,   2.08,  3.55,  4.84,  6.95,  7.70, 8.53, 9.50, 10.37,
                               11.06, 12.41, 13.20, 14.31, 15.15, 16.16, NAN,  NAN,  NAN,  NAN,
                               20.80, NAN,   NAN,   NAN,   NAN,   NAN,   NAN,  NAN},
};

/* dB: the SNR at which Shannon's bound is this many bit/s/Hz. */
static double shannon(double efficiency) {
  return 10 * log10(exp2(efficiency) - 1);
}

/* Distance to the bound at an efficiency: linear between published thresholds, constant outside. */
static double gap(const double *published, double efficiency) {
  double below = -INFINITY, above = INFINITY, gap_below = NAN, gap_above = NAN;
  for (int i = 0; i < TABLE_2; i++) {
    if (isnan(published[i])) continue;
    double at = mcs_2[i], g = published[i] - shannon(at);
    if (at <= efficiency) below = at, gap_below = g;
    if (at >= efficiency && at < above) above = at, gap_above = g;
  }
  if (isnan(gap_below)) return gap_above;
  if (isnan(gap_above) || above <= below) return gap_below;
  return gap_below + (efficiency - below) / (above - below) * (gap_above - gap_below);
}

double celslm_mcs_threshold(celslm_link_level level, int table, int mcs) {
  static double known[2][2][TABLE_1]; /* 0: not computed yet */
  if (mcs < 0 || mcs >= size_of(table)) return NAN;
  double efficiency = celslm_mcs_efficiency(table, mcs), *t = &known[level][table - 1][mcs];
  if (*t == 0) {
    bool published = table == 2 && !isnan(threshold[level][mcs]);
    *t =
        published ? threshold[level][mcs] : shannon(efficiency) + gap(threshold[level], efficiency);
  }
  return *t;
}

int celslm_mcs_at(celslm_link_level level, int table, double sinr_db) {
  if (table == 2) { /* efficiencies and thresholds rise: halve */
    int low = -1, high = size_of(table) - 1;
    while (low < high) {
      int middle = (low + high + 1) / 2;
      if (celslm_mcs_threshold(level, table, middle) <= sinr_db)
        low = middle;
      else
        high = middle - 1;
    }
    return low;
  }
  int best = -1;
  double most = 0;
  for (int i = 0; i < size_of(table); i++) {
    double efficiency = celslm_mcs_efficiency(table, i);
    if (!(efficiency > most) || celslm_mcs_threshold(level, table, i) > sinr_db) continue;
    most = efficiency;
    best = i;
  }
  return best;
}

/* move.c - how users move: random waypoint, Gauss-Markov, a straight road. */
#include "net/radio/scene.h"

#include <gsl/gsl_randist.h>
#include <math.h>

#define PI 3.14159265358979323846

static const celslm_ue_group *group_of(const celslm_scene *s, const celslm_ue *u) {
  return &s->scenario->radio.ues[u->group];
}

static const celslm_cell *home(const celslm_scene *s, const celslm_ue *u) {
  return &s->scenario->platform->cells[group_of(s, u)->cell];
}

static double between(gsl_rng *r, double low, double high) {
  return low + gsl_rng_uniform(r) * (high - low);
}

/* ---- random waypoint: Johnson and Maltz 1996, with speeds bounded below ---------------------- */

static void choose_waypoint(celslm_scene *s, celslm_ue *u, gsl_rng *r) {
  const celslm_ue_group *g = group_of(s, u);
  double d = g->max_distance * sqrt(gsl_rng_uniform(r)), a = 2 * PI * gsl_rng_uniform(r);
  u->motion.to_x = home(s, u)->x + d * cos(a);
  u->motion.to_y = home(s, u)->y + d * sin(a);
  u->motion.speed = between(r, g->mobility.speed_min, g->mobility.speed_max);
}

static void walk_to_waypoint(celslm_scene *s, celslm_ue *u, double dt) {
  celslm_motion *m = &u->motion;
  while (dt > 0) {
    if (m->pause > 0) {
      double wait = fmin(m->pause, dt);
      m->pause -= wait;
      dt -= wait;
      continue;
    }
    double left = hypot(m->to_x - u->x, m->to_y - u->y), step = fmin(left, m->speed * dt);
    if (left > 0) {
      u->x += (m->to_x - u->x) * step / left;
      u->y += (m->to_y - u->y) * step / left;
    }
    dt -= step / m->speed;
    if (step < left) return;
    m->pause = gsl_rng_uniform(s->moves) * group_of(s, u)->mobility.pause;
    choose_waypoint(s, u, s->moves);
  }
}

/* ---- Gauss-Markov: Liang and Haas, INFOCOM 1999 ---------------------------------------------- */

static void wander(celslm_scene *s, celslm_ue *u, double dt) {
  const celslm_ue_group *g = group_of(s, u);
  celslm_motion *m = &u->motion;
  double a = pow(g->mobility.memory, dt), fresh = sqrt(1 - a * a);
  m->speed = a * m->speed + (1 - a) * g->mobility.speed_min +
             fresh * g->mobility.speed_max * gsl_ran_gaussian(s->moves, 1);
  m->speed = fabs(m->speed);
  m->direction = a * m->direction + (1 - a) * m->mean_direction +
                 fresh * PI / 4 * gsl_ran_gaussian(s->moves, 1);
  u->x += m->speed * dt * cos(m->direction);
  u->y += m->speed * dt * sin(m->direction);
  double dx = u->x - home(s, u)->x, dy = u->y - home(s, u)->y;
  if (hypot(dx, dy) <= g->max_distance) return;
  /* back to the middle; whole turns apart from where it heads now, so that it turns the short way
   */
  m->mean_direction = m->direction + remainder(atan2(-dy, -dx) - m->direction, 2 * PI);
  m->direction = m->mean_direction;
}

/* ---- a road ---------------------------------------------------------------------------------- */

static void put_on_road(const celslm_mobility *road, celslm_ue *u) {
  double length = hypot(road->to_x - road->from_x, road->to_y - road->from_y);
  u->x = road->from_x + (road->to_x - road->from_x) * u->motion.along / length;
  u->y = road->from_y + (road->to_y - road->from_y) * u->motion.along / length;
}

static void drive(celslm_scene *s, celslm_ue *u, double dt) {
  const celslm_mobility *road = &group_of(s, u)->mobility;
  double length = hypot(road->to_x - road->from_x, road->to_y - road->from_y);
  celslm_motion *m = &u->motion;
  m->along += m->speed * dt;
  while (m->along < 0 || m->along > length) {
    m->along = m->along < 0 ? -m->along : 2 * length - m->along;
    m->speed = -m->speed;
  }
  put_on_road(road, u);
}

/* ---- all ------------------------------------------------------------------------------------- */

void celslm_scene_place(celslm_scene *s, celslm_ue *u, gsl_rng *r) {
  const celslm_mobility *m = &group_of(s, u)->mobility;
  switch (m->kind) {
  case CELSLM_WAYPOINT:
    choose_waypoint(s, u, r);
    break;
  case CELSLM_GAUSS_MARKOV:
    u->motion.speed = m->speed_min;
    u->motion.direction = u->motion.mean_direction = 2 * PI * gsl_rng_uniform(r);
    break;
  case CELSLM_ROAD:
    u->motion.along = gsl_rng_uniform(r) * hypot(m->to_x - m->from_x, m->to_y - m->from_y);
    u->motion.speed = gsl_rng_uniform(r) < 0.5 ? m->speed_min : -m->speed_min;
    put_on_road(m, u);
    break;
  default:
    break;
  }
}

void celslm_scene_move(celslm_scene *s, celslm_ue *u, double dt) {
  switch (group_of(s, u)->mobility.kind) {
  case CELSLM_WAYPOINT:
    walk_to_waypoint(s, u, dt);
    break;
  case CELSLM_GAUSS_MARKOV:
    wander(s, u, dt);
    break;
  case CELSLM_ROAD:
    drive(s, u, dt);
    break;
  default:
    break;
  }
}

bool celslm_scene_moves(const celslm_scene *s) {
  for (int g = 0; g < s->scenario->radio.n_ues; g++)
    if (s->scenario->radio.ues[g].mobility.kind != CELSLM_STATIC) return true;
  return false;
}

/* May this payload open the door? For a microcontroller: C99, no allocation, no JSON library.
 *
 * It takes decisions only in the canonical form in which the daemon sends them (docs/wire.md): cut
 * the member "signature" out, and the bytes that are left are those that were signed. You bring an
 * Ed25519 (RFC 8032), for instance Ed25519::verify of rweather's Arduino "Crypto" library, which
 * ESPHome can use too:
 *
 *   static bool my_verify(const uint8_t sig[64], const uint8_t key[32], const uint8_t *msg, size_t n)
 *   { return Ed25519::verify(sig, key, msg, n); }
 *
 *   static struct og_key keys[] = {{{...32 bytes...}, 0, INT64_MAX}};
 *   static struct og_door door = {"home", "front", keys, 1, true, my_verify, 0};
 *   // in the MQTT callback; og_now_ms() is your clock, set by NTP:
 *   if (og_check(&door, payload, length, retained, og_now_ms()) == OG_OPENS) { ... }
 *
 * Still yours: write door.last_sequence to flash BEFORE you pulse the relay and read it at start,
 * and act on nothing for 10 seconds after your clock was set.
 */
#ifndef ONEGLANCE_CHECK_H
#define ONEGLANCE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define OG_MAX_BYTES 2048
/* A decision of version 2 has so many members, `signature` among them. */
#define OG_MEMBERS 20

enum og_result {
  OG_OPENS, OG_RETAINED, OG_MALFORMED, OG_SIGNATURE, OG_KEY, OG_PLACE, OG_LIFETIME, OG_EXPIRED,
  OG_FUTURE, OG_REPLAY, OG_REJECTED, OG_LIVENESS
};

typedef bool (*og_ed25519)(const uint8_t signature[64], const uint8_t key[32],
                           const uint8_t *message, size_t length);

/* A daemon's public key, and when it counts: milliseconds since 1970, the end not included. Leave a
 * revoked key out, whatever its date says. */
struct og_key { uint8_t raw[32]; int64_t from_ms, until_ms; };

struct og_door {
  const char *site, *name;
  const struct og_key *keys;
  size_t key_count;
  bool require_liveness;
  og_ed25519 verify;
  uint64_t last_sequence;
};

/* One value of a flat object; for a string without its quotes. */
struct og_value { const char *start; size_t length; bool is_text; };

/* Past one value; NULL if it is none. Canonical JSON has no spaces. */
static const char *og_skip(const char *at, const char *end, struct og_value *value) {
  value->start = at;
  value->is_text = at < end && *at == '"';
  if (value->is_text) {
    for (value->start = ++at; at < end && *at != '"'; at++)
      if (*at == '\\' && at + 1 < end) at++;
    if (at >= end) return NULL;
    value->length = (size_t)(at - value->start);
    return at + 1;
  }
  if (at < end && *at == '[') {
    while (at < end && *at != ']') at++;
    if (at < end) at++;
  } else {
    while (at < end && *at != ',' && *at != '}') at++;
  }
  value->length = (size_t)(at - value->start);
  return value->length ? at : NULL;
}

/* Find each of `count` members. How many there are, in one flat object, in order, each once; or 0. */
static int og_members(const char *at, const char *end, const char *const *names,
                       struct og_value *values, size_t count) {
  struct og_value last = {"", 0, true}, name, value;
  int members = 0;
  memset(values, 0, count * sizeof *values);
  if (at >= end || *at++ != '{') return 0;
  for (;;) {
    size_t common;
    int order;
    at = og_skip(at, end, &name);
    if (!at || !name.is_text || at >= end || *at++ != ':') return 0;
    common = last.length < name.length ? last.length : name.length;
    order = memcmp(last.start, name.start, common);
    if (order > 0 || (order == 0 && last.length >= name.length)) return 0;
    last = name;
    at = og_skip(at, end, &value);
    if (!at || at >= end) return 0;
    for (size_t i = 0; i < count; i++)
      if (strlen(names[i]) == name.length && !memcmp(names[i], name.start, name.length))
        values[i] = value;
    members++;
    if (*at == '}') return at + 1 == end ? members : 0;
    if (*at++ != ',') return 0;
  }
}

static bool og_is(const struct og_value *value, const char *text) {
  return value->is_text && value->length == strlen(text) &&
         !memcmp(value->start, text, value->length);
}

static bool og_number(const char *at, size_t length, uint64_t *number) {
  *number = 0;
  if (length == 0 || length > 16) return false;
  for (size_t i = 0; i < length; i++) {
    if (at[i] < '0' || at[i] > '9') return false;
    *number = *number * 10 + (uint64_t)(at[i] - '0');
  }
  return true;
}

/* "2026-11-24T06:00:00.123Z" in milliseconds since 1970 (civil calendar after H. Hinnant). */
static bool og_time(const struct og_value *value, int64_t *ms) {
  static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
  static const struct { int at, length; } parts[7] = {{0, 4}, {5, 2}, {8, 2}, {11, 2}, {14, 2},
                                                      {17, 2}, {20, 3}};
  uint64_t n[7];
  int64_t year, era, of_era, of_year, days;
  if (!value->is_text || value->length != sizeof shape - 1) return false;
  for (size_t i = 0; i < value->length; i++)
    if (shape[i] != 'd' && value->start[i] != shape[i]) return false;
  for (int i = 0; i < 7; i++)
    if (!og_number(value->start + parts[i].at, (size_t)parts[i].length, &n[i])) return false;
  if (n[0] < 1970 || n[1] < 1 || n[1] > 12 || n[2] < 1 || n[2] > 31 || n[3] > 23 || n[4] > 59 ||
      n[5] > 60)
    return false;
  year = (int64_t)n[0] - (n[1] <= 2);
  era = year / 400;
  of_era = year - era * 400;
  of_year = (153 * ((int64_t)n[1] + (n[1] > 2 ? -3 : 9)) + 2) / 5 + (int64_t)n[2] - 1;
  days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
  *ms = (((days * 24 + (int64_t)n[3]) * 60 + (int64_t)n[4]) * 60 + (int64_t)n[5]) * 1000 +
        (int64_t)n[6];
  return true;
}

/* 64 bytes from 88 characters of base64, in their one spelling. */
static bool og_base64(const char *text, uint8_t bytes[64]) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint32_t bits = 0;
  int held = 0;
  size_t out = 0;
  for (int i = 0; i < 86; i++) {
    const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
    if (!digit) return false;
    bits = bits << 6 | (uint32_t)(digit - digits);
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes[out++] = (uint8_t)(bits >> held);
      bits &= (1u << held) - 1;
    }
  }
  return out == 64 && bits == 0 && text[86] == '=' && text[87] == '=';
}

/* OG_OPENS, or why not. door->last_sequence is brought up to date. */
static enum og_result og_check(struct og_door *door, const uint8_t *payload, size_t length,
                               bool retained, int64_t now_ms) {
  static const char *const names[] = {"door", "expires_at", "issued_at", "kind", "liveness",
                                      "outcome", "sequence", "signature", "site", "v"};
  enum { DOOR, EXPIRES, ISSUED, KIND, LIVENESS, OUTCOME, SEQUENCE, SIGNATURE, SITE, VERSION, COUNT };
  /* What stands before the 88 characters of the signature; a quote and a comma follow them. */
  static const char before[] = "\"signature\":\"";
  struct og_value value[COUNT];
  uint8_t message[OG_MAX_BYTES], signature[64];
  const char *text = (const char *)payload;
  size_t start, cut = sizeof before - 1 + 88 + 2;
  int64_t issued_ms, expires_ms;
  uint64_t sequence;
  const struct og_key *key = NULL;

  if (retained) return OG_RETAINED;
  if (length > OG_MAX_BYTES || og_members(text, text + length, names, value, COUNT) != OG_MEMBERS ||
      !value[SIGNATURE].is_text || value[SIGNATURE].length != 88 ||
      !og_base64(value[SIGNATURE].start, signature))
    return OG_MALFORMED;
  start = (size_t)(value[SIGNATURE].start - text) - (sizeof before - 1);
  if (start + cut > length || text[start + cut - 1] != ',') return OG_MALFORMED;
  memcpy(message, text, start);
  memcpy(message + start, text + start + cut, length - start - cut);
  for (size_t i = 0; i < door->key_count && !key; i++)
    if (door->verify(signature, door->keys[i].raw, message, length - cut)) key = &door->keys[i];
  if (!key) return OG_SIGNATURE;
  if (now_ms < key->from_ms || now_ms >= key->until_ms) return OG_KEY;
  if (!og_is(&value[KIND], "decision") || value[VERSION].length != 1 ||
      *value[VERSION].start != '2' || !og_time(&value[ISSUED], &issued_ms) ||
      !og_time(&value[EXPIRES], &expires_ms) || value[SEQUENCE].is_text ||
      !og_number(value[SEQUENCE].start, value[SEQUENCE].length, &sequence))
    return OG_MALFORMED;
  if (!og_is(&value[SITE], door->site) || !og_is(&value[DOOR], door->name)) return OG_PLACE;
  if (expires_ms - issued_ms > 10000) return OG_LIFETIME;
  if (now_ms >= expires_ms) return OG_EXPIRED;
  if (issued_ms > now_ms + 2000) return OG_FUTURE;
  if (sequence <= door->last_sequence) return OG_REPLAY;
  door->last_sequence = sequence;
  if (!og_is(&value[OUTCOME], "accepted")) return OG_REJECTED;
  if (door->require_liveness && !og_is(&value[LIVENESS], "passed")) return OG_LIVENESS;
  return OG_OPENS;
}

#endif

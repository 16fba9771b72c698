/* May this message open the lock? For lock controllers in C; needs libsodium (crypto_sign, SHA-512).
 *
 * Parse the JSON with what your firmware has, and give the texts of its fields as they stand there
 * (unescaped, UTF-8). Returns 1 if the lock may open: then keep `seq` in flash, and open. `own_source`
 * is the name of the camera at this lock (`cameras.name`): a device may have several doors. `now` and
 * `expires` are RFC 3339 in UTC with milliseconds and Z; a lock without a clock passes "" and relies on
 * the broker's message expiry.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No grant is good for longer from now on: one signed by a clock that is a year ahead would be for a
 * year. The door's mqtt.door_expiry_s, 60 s, and as much for clocks that differ. */
#define OSTIARY_LONGEST_S 120

/* Seconds since 1970; -1 for what is no time. Days by H. Hinnant's days_from_civil. */
static long long ostiary_seconds(const char *text)
{
    int year, month, day, hour, minute, second;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &year, &month, &day, &hour, &minute, &second) != 6)
        return -1;
    year -= month <= 2;
    long long era = year / 400, of_era = year - era * 400;
    long long of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    long long days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

static int ostiary_is_fresh(const char *now, const char *expires)
{
    if (now[0] == '\0')
        return 1;
    long long from = ostiary_seconds(now), until = ostiary_seconds(expires);
    return from >= 0 && until >= 0 && strcmp(now, expires) < 0 && until - from <= OSTIARY_LONGEST_S;
}

int ostiary_may_open(const unsigned char public_key[32], const char *own_door, const char *own_source,
                     const char *last_seq, const char *now, const char *door, const char *seq,
                     const char *event_id, const char *expires, const char *source,
                     const char *username, const unsigned char signature[64])
{
    char text[1024];
    int length = snprintf(text, sizeof text, "ostiary-door-v1\n%s\n%s\n%s\n%s\n%s\n%s", door, seq,
                          event_id, expires, source, username);
    if (length < 0 || (size_t)length >= sizeof text)
        return 0;
    if (crypto_sign_verify_detached(signature, (const unsigned char *)text,
                                    (unsigned long long)length, public_key) != 0)
        return 0;
    return strcmp(door, own_door) == 0 && strcmp(source, own_source) == 0
           && strtoull(seq, NULL, 10) > strtoull(last_seq, NULL, 10) && ostiary_is_fresh(now, expires);
}

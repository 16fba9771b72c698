/* May this message open the lock? For lock controllers in C; needs libsodium (crypto_sign, SHA-512).
 *
 * Parse the JSON with what your firmware has, and give the texts of its fields as they stand there
 * (unescaped, UTF-8). Returns 1 if the lock may open: then keep `seq` in flash, and open. `now` and
 * the result of `expires` compare as texts, both RFC 3339 in UTC with milliseconds and Z; a lock
 * without a clock passes "" and relies on the broker's message expiry.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ostiary_may_open(const unsigned char public_key[32], const char *own_door, const char *last_seq,
                     const char *now, const char *door, const char *seq, const char *event_id,
                     const char *expires, const char *source, const char *username,
                     const unsigned char signature[64])
{
    char text[1024];
    int length = snprintf(text, sizeof text, "ostiary-door-v1\n%s\n%s\n%s\n%s\n%s\n%s", door, seq,
                          event_id, expires, source, username);
    if (length < 0 || (size_t)length >= sizeof text)
        return 0;
    if (crypto_sign_verify_detached(signature, (const unsigned char *)text,
                                    (unsigned long long)length, public_key) != 0)
        return 0;
    return strcmp(door, own_door) == 0 && strtoull(seq, NULL, 10) > strtoull(last_seq, NULL, 10)
           && strcmp(now, expires) < 0;
}

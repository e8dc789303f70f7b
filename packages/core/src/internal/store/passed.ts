/**
 * Remembers what can't be used in this process, so that the same thing is not read and reported again and again.
 * Everything is read again after a minute, since somebody may have repaired the thing.
 */

/** Most things that are remembered. */
const limit = 10_000

const forgottenMillis = 60_000

export class PassedOver<A> {
  private readonly told = new Set<A>()
  private readonly some = new Set<A>()
  private since = Number.NEGATIVE_INFINITY

  /** Gives what is not to be read now. */
  atUnsafe(now: number): ReadonlySet<A> {
    if (now - this.since >= forgottenMillis || now < this.since) {
      this.some.clear()
      this.since = now
    }
    return this.some
  }

  /** Notes one thing. Returns whether to report the thing, which is true once for each. */
  addUnsafe(one: A): boolean {
    if (this.some.size < limit) this.some.add(one)
    if (this.told.has(one) || this.told.size >= limit) return false
    this.told.add(one)
    return true
  }
}

/**
 * What is passed over because it can't be used here: it is remembered, so that it is neither read nor told again and
 * again, but not for ever, since somebody may put it right.
 */

/** So many are remembered at most. */
const limit = 10_000

const forgottenMillis = 60_000

export class PassedOver<A> {
  private readonly told = new Set<A>()
  private readonly some = new Set<A>()
  private since = Number.NEGATIVE_INFINITY

  /** Those that are not to be looked at now. */
  atUnsafe(now: number): ReadonlySet<A> {
    if (now - this.since >= forgottenMillis || now < this.since) {
      this.some.clear()
      this.since = now
    }
    return this.some
  }

  /** Notes one; tells whether it is to be told of. */
  addUnsafe(one: A): boolean {
    if (this.some.size < limit) this.some.add(one)
    if (this.told.has(one) || this.told.size >= limit) return false
    this.told.add(one)
    return true
  }
}

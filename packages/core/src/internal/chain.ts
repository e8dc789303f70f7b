/**
 * A set, in order of insertion, whose members carry their own links.
 *
 * A `Set` whose members come and go copies its table again and again, and each table that is left behind refers to
 * the next one. Once one of them is old, the collector of the young generation keeps all that follow, with what they
 * hold: a tenth of what a task allocates became old, and memory grew with their number. Here a member that leaves
 * refers to no other.
 */

/** What a member carries for the one chain that it may be in. */
export interface Linked<T> {
  chain: object | undefined
  previous: T | undefined
  next: T | undefined
}

export class Chain<T extends Linked<T>> {
  size = 0
  first: T | undefined
  private last: T | undefined

  add(member: T): void {
    member.chain = this
    member.previous = this.last
    if (this.last === undefined) this.first = member
    else this.last.next = member
    this.last = member
    this.size++
  }

  has(member: T): boolean {
    return member.chain === this
  }

  delete(member: T): void {
    if (member.chain !== this) return
    const { next, previous } = member
    if (previous === undefined) this.first = next
    else previous.next = next
    if (next === undefined) this.last = previous
    else next.previous = previous
    member.chain = undefined
    member.previous = undefined
    member.next = undefined
    this.size--
  }

  /** The members that there are now. */
  toArray(): Array<T> {
    const members: Array<T> = []
    for (let member = this.first; member !== undefined; member = member.next) members.push(member)
    return members
  }
}

/**
 * A set in order of insertion whose members carry their own links.
 *
 * A `Set` whose members come and go copies its table again and again, and each abandoned table refers to the next
 * table. Once one table is old, the collector of the young generation keeps all later tables and their contents: a
 * tenth of what a task allocates became old, and memory grew with the number of tasks. A member that leaves a chain
 * refers to no other member.
 */

/** The links of a member. A member is in one chain at most. */
export class Linked<T> {
  chain: object | undefined = undefined
  previous: T | undefined = undefined
  next: T | undefined = undefined
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

  toArray(): Array<T> {
    const members: Array<T> = []
    for (let member = this.first; member !== undefined; member = member.next) members.push(member)
    return members
  }
}

/**
 * Members by ids, for members that come and go by the thousand. A `Map` of them would copy its table again and again,
 * which `internal/chain.ts` tells more of. An id is the number of a slot, and how often the slot was used before.
 */

/** Most members at the same time. */
export const most = 2 ** 16

/** Members under ids that somebody else gives. */
export class Slots<A> {
  protected readonly slots: Array<{ id: number; member: A | undefined }> = []
  size = 0

  /** Adds a member under an id that is given. False if the id, or its slot, is taken. */
  put(id: number, member: A): boolean {
    const number = id % most
    while (this.slots.length <= number) this.slots.push({ id: -1, member: undefined })
    const slot = this.slots[number]
    if (slot === undefined || slot.member !== undefined) return false
    slot.id = id
    slot.member = member
    this.size++
    return true
  }

  get(id: number): A | undefined {
    const slot = this.slots[id % most]
    return slot?.id === id ? slot.member : undefined
  }

  /** Forgets a member. False if there is none of this id. */
  delete(id: number): boolean {
    const slot = this.slots[id % most]
    if (slot?.id !== id || slot.member === undefined) return false
    slot.member = undefined
    this.size--
    return true
  }

  *[Symbol.iterator](): Generator<A> {
    for (const { member } of this.slots) if (member !== undefined) yield member
  }
}

/** Members under ids that are given out here. */
export class OwnSlots<A> extends Slots<A> {
  private readonly free: Array<number> = []

  /** Adds a member, and gives its id. */
  add(member: A): number {
    const number = this.free.pop() ?? this.slots.length
    if (number >= most) throw new Error(`A worker has ${most} tasks in hand`)
    const slot = this.slots[number] ??= { id: number - most, member: undefined }
    slot.id += most
    slot.member = member
    this.size++
    return slot.id
  }

  override delete(id: number): boolean {
    const isDeleted = super.delete(id)
    if (isDeleted) this.free.push(id % most)
    return isDeleted
  }
}

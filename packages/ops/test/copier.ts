import type * as Files from "@fanout/ops/Files"

/** Copies all that it is given, with owners, and hears of nothing but what a test wants to know. */
export const copierOf = (wanted: Partial<Files.Copier>): Files.Copier => ({
  buffer: Buffer.alloc(4096),
  isFree: false,
  isOwn: false,
  keepsOwner: true,
  keepsHoles: true,
  ownerLost: () => {},
  isAttributeKept: () => false,
  mayGoOn: () => true,
  begin: () => true,
  found: () => undefined,
  leave: () => {},
  copied: () => {},
  fail: () => {},
  spoiled: () => {},
  ...wanted
})

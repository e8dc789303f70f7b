import { ceph } from "./cephServer.ts"
import { moto } from "./motoServer.ts"
import { swift } from "./swiftServer.ts"

/** All services of others that fanout is tried with. */
export const foreignStores = [ceph, moto, swift]

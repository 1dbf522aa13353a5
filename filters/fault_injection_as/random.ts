import { random_get } from "bindings/wasi_unstable";

// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
// generators", 2014), seeded once from the host's entropy. Not Math.random():
// it imports a seed that hosts do not have.
export class Random {
  private state: u64;

  constructor() {
    const seed = new ArrayBuffer(8);
    random_get(changetype<usize>(seed), 8);
    this.state = load<u64>(changetype<usize>(seed));
  }

  // A number from 0 up to, but not including, 100.
  percent(): f64 {
    // The 53 bits that an f64 holds exactly.
    return <f64>(this.next() >> 11) * (100.0 / 9007199254740992.0);
  }

  private next(): u64 {
    this.state += 0x9e3779b97f4a7c15;
    let z = this.state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
}
